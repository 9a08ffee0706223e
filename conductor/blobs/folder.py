"""Blobs in a folder, one file each. Several machines may share it, where the file system renames in one step."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from conductor.blobs.port import CHUNK_BYTES, PAGE_NAMES, BlobMissingError, BlobStore, check_name, check_size
from conductor.errors import BlobsUnavailableError
from servicekit.threads import in_thread

INCOMING = ".incoming"  # no name begins with a dot
Result = TypeVar("Result")


class FolderBlobs(BlobStore):
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self._folder)

    async def put(self, name: str, source: Path) -> None:
        """Copies a file."""
        await self._do(name, lambda: self._write(name, source))

    async def mark(self, name: str) -> None:
        """Makes an empty file."""
        await self._do(name, lambda: self._write(name, None))

    async def get(self, name: str, target: Path) -> None:
        """Copies a file out."""

        def copy() -> None:
            try:
                source = self._path(name).open("rb")
            except (FileNotFoundError, NotADirectoryError) as error:
                raise BlobMissingError(name) from error
            except OSError as error:
                raise self._unavailable(name, error) from error
            with source, target.open("xb") as file:
                _copy_bounded(source, file)

        await in_thread(copy)

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Lists files."""

        def page() -> list[str]:
            found: list[str] = []
            for name in self._walk(prefix.rstrip("/"), after):
                found.append(name)
                if len(found) == PAGE_NAMES:
                    break
            return found

        return await self._do(prefix, page)

    async def delete(self, name: str) -> None:
        """Removes a file, and its folders where they are empty by now."""

        def remove() -> None:
            path = self._path(name)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another object lies there
                path.parent.rmdir()

        await self._do(name, remove)

    async def close(self) -> None:
        """Does nothing: nothing is open."""

    def _path(self, name: str) -> Path:
        return self._folder / check_name(name)

    async def _do(self, name: str, work: Callable[[], Result]) -> Result:
        def doing() -> Result:
            try:
                return work()
            except OSError as error:
                raise self._unavailable(name, error) from error

        return await in_thread(doing)

    def _unavailable(self, name: str, error: OSError) -> BlobsUnavailableError:
        return BlobsUnavailableError(f"the blob {name} in {self._folder}: {error.strerror or error}")

    def _write(self, name: str, source: Path | None) -> None:
        target = self._path(name)
        incoming = self._folder / INCOMING / secrets.token_hex(8)
        incoming.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with incoming.open("xb") as file:
                if source is not None:
                    with source.open("rb") as content:
                        shutil.copyfileobj(content, file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            self._place(incoming, target)
        finally:
            incoming.unlink(missing_ok=True)

    def _place(self, incoming: Path, target: Path) -> None:
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            incoming.rename(target)
        except FileNotFoundError:  # `delete` removed the empty folder meanwhile
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            incoming.rename(target)
        for folder in (target.parent, *target.parent.parents):
            _make_durable(folder)
            if folder == self._folder:
                return

    def _walk(self, prefix: str, after: str) -> Iterator[str]:
        """Yields names in order. A folder whose names all lie before `after` is not opened."""
        try:
            entries = sorted(os.scandir(self._folder / prefix), key=lambda entry: entry.name + "/" * entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name = f"{prefix}/{entry.name}"
            if not entry.is_dir():
                if name > after:
                    yield name
            elif f"{name}/" >= after[: len(name) + 1]:
                yield from self._walk(name, after)


def _copy_bounded(source: BinaryIO, target: BinaryIO) -> None:
    """Copies a file that may grow meanwhile."""
    told, size = os.fstat(source.fileno()).st_size, 0
    check_size(told)
    while piece := source.read(CHUNK_BYTES):
        size += len(piece)
        check_size(size, told)
        target.write(piece)


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
