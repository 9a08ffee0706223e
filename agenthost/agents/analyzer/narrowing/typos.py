"""Reads what a project's typos leaves out: words that it takes as they are, and files."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..results import Result
from .omissions import Omission, Omissions, words_of
from .repository import Repository

NAMES = ("typos.toml", "_typos.toml", ".typos.toml", "pyproject.toml", "Cargo.toml")
_WORD = re.compile(r"`([^`]+)`")


class TyposOmissions(Omissions):
    """As `Omissions`, and words."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.words: dict[str, str] = {}  # each with the file that takes it as it is

    def leaves_out(self, result: Result) -> bool:
        """Returns whether a word or a file is left out."""
        match = _WORD.match(result.message)
        file = self.words.get(match[1].lower()) if match else None
        if file:
            self.applied[f"{file}{self.origin} (default.extend-words)"] = None
        return bool(file) or super().leaves_out(result)


def narrow(root: Path, base: str = "") -> TyposOmissions:
    """Returns what the project's configuration of typos leaves out."""
    repository = Repository(root, base)
    omissions = TyposOmissions(repository.origin)
    for path in NAMES:
        table = _typos_of(path, repository.read(path))
        default, files = (_table(table, name) for name in ("default", "files"))
        for key in ("extend-words", "extend-identifiers"):
            words = [word for word, right in list(_table(default, key).items())[:2000] if word == right]
            omissions.words |= {word.lower(): path for word in words}
        if patterns := words_of(files.get("extend-exclude")):
            omissions.add([Omission(path, "files.extend-exclude", files=patterns)])
    return omissions


def _typos_of(path: str, text: str) -> Mapping[str, Any]:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    if path == "pyproject.toml":
        return _table(_table(table, "tool"), "typos")
    if path == "Cargo.toml":
        one, other = (_table(_table(_table(table, name), "metadata"), "typos") for name in ("workspace", "package"))
        return one or other
    return table


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
