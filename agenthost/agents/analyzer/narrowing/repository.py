"""Reads the repository's configuration as text: of the snapshot, or in a comparison as its base has it.

In a comparison nothing is read of the snapshot: a branch must not choose what it is not told. It runs nothing but git's reading
commands, over the history that the host gives.
"""

import os
import re
import stat
import subprocess
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from ...reading import yaml_tree
from ...reading.snapshot import SKIPPED_FOLDERS, Snapshot

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

    def read(self, path: str) -> str:
        """Returns the text of a file; empty where there is none, or none that can be read."""
        content = self._git("cat-file", "blob", f"{self._base}:{path}") if self._base else self._read(path)
        return content.decode(errors="replace") if len(content) <= MAX_FILE_BYTES else ""

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
        """Reads at most one byte more than is allowed; links are not followed."""
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return b""
        with os.fdopen(descriptor, "rb") as stream:
            is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            return stream.read(MAX_FILE_BYTES + 1) if is_file else b""

    def _git(self, *arguments: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """Returns the output of git, cut off behind the limit; nothing where git fails."""
        if not _COMMIT.fullmatch(self._base):
            return b""
        command = ["git", "--no-replace-objects", *arguments]
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/") as process:
                assert process.stdout is not None  # noqa: S101 - for the types
                output = process.stdout.read(limit + 1)
                process.kill()
        except OSError:
            return b""
        return output
