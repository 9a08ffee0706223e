"""Reads what a project's typos leaves out, and its codespell: words that are taken as they are, and files."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ..results import Result
from .omissions import Omission, Omissions, words_of
from .repository import Repository

NAMES = ("typos.toml", "_typos.toml", ".typos.toml", "pyproject.toml", "Cargo.toml")
CODESPELL = (".codespellrc", "setup.cfg")
MAX_WORDS = 2000
WORDS, SKIP = "ignore-words-list", "skip"
_WORD = re.compile(r"`([^`]+)`")


class TyposOmissions(Omissions):
    """As `Omissions`, and words."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.words: dict[str, str] = {}  # each with the file and setting that takes it as it is

    def leaves_out(self, result: Result) -> bool:
        """Returns whether a word or a file is left out."""
        match = _WORD.match(result.message)
        setting = self.words.get(match[1].lower()) if match else None
        if setting:
            self.applied[setting] = None
        return bool(setting) or super().leaves_out(result)

    def take_words(self, words: Iterable[str], path: str, setting: str) -> None:
        """Takes words that are right as they are."""
        self.words |= {word.strip().lower(): f"{path}{self.origin} ({setting})" for word in islice(words, MAX_WORDS)}


def narrow(root: Path, base: str = "") -> TyposOmissions:
    """Returns what the project's configuration of typos leaves out."""
    repository = Repository(root, base)
    omissions = TyposOmissions(repository.origin)
    for path in NAMES:
        table = _typos_of(path, repository.read_toml(path) or {})
        default, files = (_table(table, name) for name in ("default", "files"))
        for key in ("extend-words", "extend-identifiers"):
            kept = (word for word, right in _table(default, key).items() if word == right)
            omissions.take_words(kept, path, f"default.{key}")
        if patterns := words_of(files.get("extend-exclude")):
            omissions.add([Omission(path, "files.extend-exclude", files=patterns)])
    for path, words, skipped in _codespell(repository):
        omissions.take_words(words.split(","), path, f"codespell {WORDS}")
        patterns = tuple(one.strip() for one in skipped.split(",")[:500] if one.strip())
        omissions.add([Omission(path, f"codespell {SKIP}", files=patterns)] if patterns else [])
    return omissions


def _codespell(repository: Repository) -> Iterator[tuple[str, str, str]]:
    """Yields each configuration of codespell with its words and files, separated by commas."""
    for path in CODESPELL:
        section = repository.read_ini(path, "codespell")
        yield path, section.get(WORDS, ""), section.get(SKIP, "")
    table = _table(_table(repository.read_toml("pyproject.toml") or {}, "tool"), "codespell")
    words, skipped = (table.get(key, "") for key in (WORDS, SKIP))
    yield "pyproject.toml", words if isinstance(words, str) else "", skipped if isinstance(skipped, str) else ""


def _typos_of(path: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
    if path == "pyproject.toml":
        return _table(_table(table, "tool"), "typos")
    if path == "Cargo.toml":
        one, other = (_table(_table(_table(table, name), "metadata"), "typos") for name in ("workspace", "package"))
        return one or other
    return table


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
