"""Reads the snapshot: which files there are, and their text, within bounds and without ever following a symlink.

It knows nothing of languages or meaning. What is left out is noted, so that it can be said.
"""

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname, join, normpath

MAX_FILES = 60_000
MAX_DEPTH = 40
MAX_FILE_BYTES = 1_000_000
MAX_CACHED_CHARACTERS = 48_000_000
# Why something was not read, as it follows a number.
TOO_LARGE = f"larger than {MAX_FILE_BYTES:,} bytes"
UNREADABLE = "that could not be opened"
TOO_DEEP = f"folders nested more than {MAX_DEPTH} deep"
TOO_MANY = f"folders with files beyond the first {MAX_FILES:,}"
NOT_TEXT = "not text"
NOT_UTF8 = "of text in another encoding than UTF-8"
LINKS = "linked"
# Of these reasons, those that may have kept something from being judged.
UNJUDGED = frozenset({TOO_LARGE, UNREADABLE, NOT_UTF8, TOO_DEEP, TOO_MANY})
SKIPPED_FOLDERS = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "bower_components", "__pycache__", "site-packages"),
        *(".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".gradle", ".eggs"),
    }
)


@dataclass(frozen=True, slots=True)
class SourceText:
    """The text of one file. `lines` are cut at newlines only, so that numbers agree with every other tool."""

    path: str
    text: str
    lines: tuple[str, ...] = field(repr=False)


class Snapshot:
    """The files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cache: OrderedDict[str, SourceText | None] = OrderedDict()
        self._cached_characters = 0
        self.left_out: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.folders: set[str] = {""}
        self._walk()
        self.paths: tuple[str, ...] = tuple(sorted(self.sizes))

    def has(self, path: str) -> bool:
        """Returns whether a regular file or a folder of this name is in the repository (a symlink counts as there)."""
        return path in self.sizes or path in self.folders or self._is_link(path)

    def linked(self) -> frozenset[str]:
        """Returns the paths in the repository that symlinks lead to."""
        links = [path for path, reason in self.left_out.items() if reason == LINKS]
        return frozenset(normpath(join(dirname(path), _target(self._root / path))) for path in links)

    @property
    def unread(self) -> frozenset[str]:
        """Returns the files and folders that could not be read, as far as that is known by now."""
        return frozenset(path for path, reason in self.left_out.items() if reason in UNJUDGED)

    @property
    def unjudged(self) -> int:
        """Returns how many files and folders could not be read."""
        return len(self.unread)

    def is_opaque(self, folder: str) -> bool:
        """Returns whether what is below a folder is unknown: it was not walked into, is a link, or holds nothing (a submodule)."""
        return folder in self.left_out or not any(path.startswith(folder + "/") for path in self.paths)

    def read(self, path: str) -> SourceText | None:
        """Returns the text of a file, or None when it is not text in UTF-8, too large, or not to be had."""
        if path in self._cache:
            self._cache.move_to_end(path)
            return self._cache[path]
        source = self._load(path)
        self._cache[path] = source
        self._cached_characters += len(source.text) if source else 0
        while self._cached_characters > MAX_CACHED_CHARACTERS:
            _, dropped = self._cache.popitem(last=False)
            self._cached_characters -= len(dropped.text) if dropped else 0
        return source

    def _load(self, path: str) -> SourceText | None:
        if path not in self.sizes:
            return None
        content = read_bytes(self._root / path, MAX_FILE_BYTES + 1)
        if content is None:
            self.left_out[path] = UNREADABLE
            return None
        if b"\0" in content:
            self.left_out[path] = NOT_TEXT
            return None
        if len(content) > MAX_FILE_BYTES:
            self.left_out[path] = TOO_LARGE
            return None
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            self.left_out[path] = NOT_UTF8
            return None
        return SourceText(path, text, tuple(text.split("\n")))

    def _is_link(self, path: str) -> bool:
        try:
            return stat.S_ISLNK(os.lstat(self._root / path).st_mode)
        except (OSError, ValueError):
            return False

    def _walk(self) -> None:
        waiting = [("", 0)]
        while waiting:
            folder, depth = waiting.pop()
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_symlink():
                    self.left_out[path] = LINKS
                elif entry.is_dir(follow_symlinks=False):
                    self._enter(waiting, path, entry.name, depth + 1)
                elif entry.is_file(follow_symlinks=False):
                    self._note_file(path, entry)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError:
            self.left_out[folder] = UNREADABLE
            return []

    def _enter(self, waiting: list[tuple[str, int]], path: str, name: str, depth: int) -> None:
        self.folders.add(path)
        if name in SKIPPED_FOLDERS:
            return
        if depth > MAX_DEPTH:
            self.left_out[path] = TOO_DEEP
            return
        waiting.append((path, depth))

    def _note_file(self, path: str, entry: os.DirEntry[str]) -> None:
        if len(self.sizes) >= MAX_FILES:
            self.left_out[path.rpartition("/")[0]] = TOO_MANY
            return
        try:
            self.sizes[path] = entry.stat(follow_symlinks=False).st_size
        except OSError:
            self.left_out[path] = UNREADABLE


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def read_bytes(path: Path, most: int) -> bytes | None:
    """Returns the first bytes of a regular file; None where it cannot be read. Follows no link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as stream:
        try:
            return stream.read(most) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
        except OSError:
            return None
