"""Reads the repository's configuration as text: of the snapshot, or in a comparison as its base has it.

In a comparison nothing is read of the snapshot: a branch must not choose what it is not told. It runs nothing but git's reading
commands, over the history that the host gives.
"""

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ...reading import yaml_tree
from ...reading.configuration import parse_ini, parse_toml
from ...reading.history import ask_git
from ...reading.snapshot import SKIPPED_FOLDERS, Snapshot, read_bytes

MAX_FILE_BYTES = 256 * 1024
MAX_FILES = 50  # of one name or another: a monorepo has some
MAX_LISTING_BYTES = 16 * 1024 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Repository:
    """The files of the snapshot, or of the commit that it is compared with."""

    def __init__(self, root: Path, base: str = "") -> None:
        self._root, self._base = root, base

    @property
    def origin(self) -> str:
        """Returns words for where a file was read, to follow its name."""
        return " of the base" if self._base else ""

    def find(self, names: Collection[str]) -> list[str]:
        """Returns the files of these names, the nearest to the root first."""
        found = [path for path in self._paths if path.rpartition("/")[2] in names]
        return sorted(found, key=lambda path: (path.count("/"), path))[:MAX_FILES]

    def files_in(self, folder: str) -> list[str]:
        """Returns the files that lie in a folder itself; of the root for an empty one."""
        return sorted(path for path in self._paths if path.rpartition("/")[0] == folder)

    def read(self, path: str) -> str:
        """Returns the text of a file; empty where there is none, or none that can be read."""
        content = self._git("cat-file", "blob", f"{self._base}:{path}") if self._base else self._read(path)
        return content.decode(errors="replace") if len(content) <= MAX_FILE_BYTES else ""

    def read_toml(self, path: str) -> Mapping[str, Any] | None:
        """Returns the table of a file of TOML, empty where there is no file; None where it is broken."""
        try:
            return parse_toml(self.read(path))
        except ValueError:
            return None

    def read_ini(self, path: str, section: str) -> Mapping[str, str]:
        """Returns the settings of a section of a file of INI; none where there is none that can be read."""
        try:
            parser = parse_ini(self.read(path))
        except ValueError:
            return {}
        return dict(parser[section]) if parser.has_section(section) else {}

    def read_yaml(self, path: str) -> yaml_tree.Node:
        """Returns the root of a file of YAML; None where none can be read. Raises LookupError without a parser."""
        content = self.read(path)
        if content and not yaml_tree.is_available():
            raise LookupError("the host has no PyYAML beside its Python packages")
        return yaml_tree.parse(content)

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        if not self._base:
            return Snapshot(self._root).paths
        listing = self._git("ls-tree", "-r", "-z", "--name-only", self._base, limit=MAX_LISTING_BYTES)
        paths = (path.decode(errors="surrogateescape") for path in listing.split(b"\0") if path)
        return tuple(path for path in paths if not SKIPPED_FOLDERS.intersection(path.split("/")))

    def _read(self, path: str) -> bytes:
        return read_bytes(self._root / path, MAX_FILE_BYTES + 1) or b""

    def _git(self, *arguments: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """Returns the output of git, cut off behind the limit; nothing where git fails."""
        if not _COMMIT.fullmatch(self._base):
            return b""
        return ask_git("--no-replace-objects", *arguments, most=limit + 1)[0]
