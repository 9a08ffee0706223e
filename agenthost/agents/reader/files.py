"""Reads files of the snapshot for the tools: bounded, by paths below the root, following no link that leaves it.

The sandbox is the boundary; the checks here only give a model a clear error instead of a strange one.
"""

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_LINES = 400
MAX_LINE_CHARACTERS = 400
MAX_ENTRIES = 300
MAX_MATCHES = 100
MAX_SEARCHED_FILES = 20_000
MAX_PATTERN_CHARACTERS = 200


class ToolError(Exception):
    """A tool cannot do what was asked; the text tells the model why and what would do."""


class Files:
    """The files of the snapshot."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.read: dict[str, int] = {}  # lines shown of each file

    def lines(self, path: str, start_line: int = 1, end_line: int = 0) -> str:
        """Returns lines with their numbers, at most MAX_LINES, and says how many the file has."""
        text = _lines(self._text(path))
        first = max(start_line, 1)
        last = min(end_line or len(text), first + MAX_LINES - 1, len(text))
        if text and first > len(text):
            raise ToolError(f"{path} has {len(text)} {'line' if len(text) == 1 else 'lines'}")
        self.read[path] = self.read.get(path, 0) + max(last - first + 1, 0)
        shown = [f"{number}| {_cut(text[number - 1])}" for number in range(first, last + 1)]
        return "\n".join([f"{path}, lines {first} to {last} of {len(text)}", *shown])

    def entries(self, path: str = ".") -> str:
        """Returns the names in a folder; folders end in a slash."""
        folder = self._path(path)
        if not folder.is_dir():
            raise ToolError(f"{path} is no folder; read_file reads a file")
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
        return _list(names, "entries")

    def named(self, pattern: str) -> str:
        """Returns the paths that a glob matches, as `src/**/*.py` or `*.md`."""
        found = [path for path in self._walk() if _matches(path, pattern)]
        return _list(found, "files") if found else f"no file matches {pattern}"

    def search(self, pattern: str, path: str = ".") -> str:
        """Returns the lines that hold a text, or match a regular expression, as PATH:LINE: TEXT."""
        wanted = _compiled(pattern)
        found = list[str]()
        for name in self._walk(path):
            for number, line in enumerate(self._searched(name), 1):
                if wanted.search(line[:MAX_LINE_CHARACTERS]):
                    found.append(f"{name}:{number}: {_cut(line.strip())}")
                    if len(found) == MAX_MATCHES:
                        return "\n".join([*found, f"the first {MAX_MATCHES} matches; narrow the pattern or the path"])
        return "\n".join(found) or f"no line matches {pattern}"

    def _searched(self, name: str) -> list[str]:
        try:
            return _lines(self._text(name))
        except ToolError:
            return []

    def _walk(self, path: str = ".") -> Iterator[str]:
        start = self._path(path)
        if start.is_file():
            yield start.relative_to(self._root).as_posix()
            return
        count = 0
        for folder, names, files in os.walk(start):
            names[:] = sorted(name for name in names if name != ".git")
            for name in sorted(files):
                count += 1
                if count > MAX_SEARCHED_FILES:
                    return
                yield Path(folder, name).relative_to(self._root).as_posix()

    def _path(self, path: str) -> Path:
        plain = PurePosixPath(path.removeprefix("/workspace").lstrip("/") or ".")
        try:
            full = (self._root / plain).resolve()
        except RuntimeError as error:  # before Python 3.13
            raise ToolError(f"{path} is a link that leads to itself") from error
        if not full.is_relative_to(self._root):
            raise ToolError(f"{path} leads out of the repository")
        if not full.exists():
            near = self._near(plain.name)
            raise ToolError(
                f"there is no {path}" + (f"; is it {near}?" if near else "; list_files shows what there is")
            )
        return full

    def _near(self, name: str) -> str:
        return ", ".join([path for path in self._walk() if path.rpartition("/")[2] == name][:3])

    def _text(self, path: str) -> str:
        full = self._path(path)
        if not full.is_file():
            raise ToolError(f"{path} is a folder; list_files shows it")
        with full.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ToolError(f"{path} is larger than {MAX_FILE_BYTES // 1024**2} MiB")
        if b"\0" in data[:8192]:
            raise ToolError(f"{path} is not a text file")
        return data.decode("utf-8", "replace")


def _matches(path: str, pattern: str) -> bool:
    name = path.rpartition("/")[2]
    return fnmatch.fnmatchcase(path, pattern.replace("**/", "*")) or fnmatch.fnmatchcase(name, pattern)


def _compiled(pattern: str) -> re.Pattern[str]:
    if not pattern or len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ToolError(f"pattern must have 1 to {MAX_PATTERN_CHARACTERS} characters")
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return re.compile(re.escape(pattern))  # models search for `foo(` and mean just that


def _lines(text: str) -> list[str]:
    """Returns the lines as editors count them; `splitlines` also ends them at form feeds, and at some signs of other scripts."""
    return text.removesuffix("\n").split("\n") if text else []


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARACTERS else line[:MAX_LINE_CHARACTERS] + " …"


def _list(names: list[str], what: str) -> str:
    more = [f"and {len(names) - MAX_ENTRIES} more {what}"] if len(names) > MAX_ENTRIES else []
    return "\n".join([*names[:MAX_ENTRIES], *more])
