"""The form of a copy: a head of text lines, an empty line, and one pack of git with everything that the commit needs.

    conductor snapshot 1
    commit 2b0c…
    shallow 9f1e…          for each commit whose parents were left out

A copy is built in a file and named by its digest, and taken in from a file whose digest was checked.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from conductor.snapshots.git import telling_of_full_disk
from conductor.snapshots.storing.history import MAX_HISTORY_COMMITS
from conductor.snapshots.storing.objects import ObjectStore

FORMAT = "conductor snapshot 1"
READ_BYTES = 1024 * 1024
MAX_LINES = 10 * MAX_HISTORY_COMMITS
MAX_LINE_BYTES = 100


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a copy."""

    commit: str
    shallow: frozenset[str]

    def encode(self) -> bytes:
        """Returns the head with its empty line."""
        lines = [FORMAT, f"commit {self.commit}", *(f"shallow {commit}" for commit in sorted(self.shallow)), ""]
        return "".join(f"{line}\n" for line in lines).encode("ascii")


def read_head(file: BinaryIO) -> Head:
    """Reads the head, up to the pack; raises ValueError for a file of another form."""
    lines = list(_lines(file))
    words = [line.partition(" ") for line in lines[1:]]
    commits = [value for key, _, value in words if key == "commit"]
    if not lines or lines[0] != FORMAT or len(commits) != 1 or {key for key, *_ in words} - {"commit", "shallow"}:
        raise ValueError("its head is of another form")
    return Head(commits[0], frozenset(value for key, _, value in words if key == "shallow"))


def _lines(file: BinaryIO) -> Iterator[str]:
    for _ in range(MAX_LINES):
        line = file.readline(MAX_LINE_BYTES)
        if line == b"\n":
            return
        if not line.endswith(b"\n"):
            break
        yield line[:-1].decode("ascii", "replace")
    raise ValueError("its head has no end")


async def pack_copy(objects: ObjectStore, commit: str, target: Path) -> None:
    """Writes a copy of a commit with its history into a new file."""
    history = await objects.history(commit)
    with telling_of_full_disk(), target.open("xb") as file:
        file.write(Head(commit, history.shallow).encode())
        await objects.pack_into(file, history)


async def take_copy(objects: ObjectStore, commit: str, source: Path, ref: str) -> None:
    """Takes a copy in, and points a ref at its commit; raises ValueError where it holds something else."""
    with source.open("rb") as file:
        head = read_head(file)
        if head.commit != commit:
            raise ValueError(f"it is one of {head.commit}")
        await objects.take_pack(file, head.shallow)
    if not await objects.present((commit,)):
        raise ValueError("its pack lacks the commit")
    await objects.point(ref, commit)


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file. Blocking."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, digest: str) -> None:
    """Raises ValueError for a file of another digest. Blocking."""
    if (found := digest_of(path)) != digest:
        raise ValueError(f"its bytes have the digest {found}")
