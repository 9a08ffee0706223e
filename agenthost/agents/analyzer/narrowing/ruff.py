"""Reads what a project's ruff leaves out, and what its flake8 does, whose rules have the same names.

As for ruff the nearest configuration above a file counts, and what it extends. flake8's counts for the whole project. A name that
the project declares as a builtin is not undefined.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .omissions import ALL, Omission, Omissions, words_of
from .repository import Repository

NAMES = (".ruff.toml", "ruff.toml", "pyproject.toml")  # of one folder, the first counts
FLAKE8 = ("setup.cfg", "tox.ini", ".flake8")
MAX_EXTENDED = 3
UNDEFINED = "F821"
_CODES = re.compile(r"[A-Z]+[0-9]*")


class RuffOmissions(Omissions):
    """As `Omissions`, but of ruff's own only the nearest folder's count."""

    def those_about(self, path: str) -> list[Omission]:
        """Returns the omissions of the nearest configuration, and flake8's."""
        folders = {one.folder for one in self.every if not one.setting.startswith("flake8")}
        above = [folder for folder in folders if not folder or path.startswith(f"{folder}/")]
        nearest = max(above, key=len, default="")
        return [one for one in self.every if one.setting.startswith("flake8") or one.folder == nearest]


def narrow(root: Path, base: str = "") -> Omissions:
    """Returns what the project's configuration of ruff and flake8 leaves out."""
    repository = Repository(root, base)
    omissions = RuffOmissions(repository.origin)
    seen: set[str] = set()
    for path in sorted(repository.find(NAMES), key=lambda path: NAMES.index(path.rpartition("/")[2])):
        table = _ruff_of(repository, path)
        folder = path.rpartition("/")[0]
        if table is not None and folder not in seen:
            seen.add(folder)
            omissions.add(_omissions(repository, path, table))
    for path in FLAKE8:
        omissions.add(_flake8_of(path, repository.read_ini(path, "flake8")))
    return omissions


def _ruff_of(repository: Repository, path: str) -> Mapping[str, Any] | None:
    table: Any = repository.read_toml(path)
    for key in ("tool", "ruff") if path.endswith("pyproject.toml") else ():
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None


def _omissions(repository: Repository, path: str, table: Mapping[str, Any], depth: int = 0) -> Iterator[Omission]:
    """Yields the omissions of a table, and of those that it extends: all as if they stood in the first file."""
    if names := words_of(table.get("builtins")):
        yield Omission(path, "builtins", (UNDEFINED,), names=names)
    yield from _of_part(path, "", table)
    if isinstance(lint := table.get("lint"), dict):
        yield from _of_part(path, "lint.", lint)
    extended = table.get("extend")
    if isinstance(extended, str) and depth < MAX_EXTENDED:
        other = _joined(path, extended)
        parent = _ruff_of(repository, other) if other else None
        yield from _omissions(repository, path, parent, depth + 1) if parent is not None else ()


def _of_part(path: str, name: str, part: Mapping[str, Any]) -> Iterator[Omission]:
    for key in ("ignore", "extend-ignore"):
        if rules := _codes(words_of(part.get(key))):
            yield Omission(path, f"{name}{key}", rules)
    for key in ("exclude", "extend-exclude"):
        if files := words_of(part.get(key)):
            yield Omission(path, f"{name}{key}", files=files)
    for key in ("per-file-ignores", "extend-per-file-ignores"):
        told = part.get(key)
        for pattern, values in list(told.items())[:200] if isinstance(told, dict) else ():
            if rules := _codes(words_of(values)):
                yield _for_files(path, f"{name}{key}", pattern, rules)


def _for_files(path: str, setting: str, pattern: str, rules: tuple[str, ...]) -> Omission:
    return Omission(path, setting, rules, (pattern.removeprefix("!"),), is_inverted=pattern.startswith("!"))


def _codes(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(ALL if word == "ALL" else word for word in words if _CODES.fullmatch(word))


def _joined(path: str, other: str) -> str:
    """Returns the path of an extended file within the repository; empty for one outside of it."""
    parts = path.split("/")[:-1]
    for part in other.split("/"):
        if part == ".." and not parts:
            return ""
        parts = parts[:-1] if part == ".." else parts if part in {"", "."} else [*parts, part]
    return "" if other.startswith(("/", "~")) else "/".join(parts)


def _flake8_of(path: str, table: Mapping[str, str]) -> Iterator[Omission]:
    for key in ("ignore", "extend-ignore"):
        if rules := _codes(_split(table.get(key, ""))):
            yield Omission(path, f"flake8 {key}", rules)
    for key in ("exclude", "extend-exclude"):
        if files := _split(table.get(key, "")):
            yield Omission(path, f"flake8 {key}", files=files)
    if names := _split(table.get("builtins", "")):
        yield Omission(path, "flake8 builtins", (UNDEFINED,), names=names)
    # Files, a colon, and rules, which may go on over lines.
    files = ()
    for line in re.sub(r"(?m)#.*$", "", table.get("per-file-ignores", "")).split("\n"):
        head, colon, tail = line.rpartition(":")
        files = _split(head) if colon else files
        if files and (rules := _codes(_split(tail))):
            yield Omission(path, "flake8 per-file-ignores", rules, files)


def _split(value: str) -> tuple[str, ...]:
    return tuple(re.sub(r"(?m)#.*$", "", value).replace(",", " ").split())[:500]
