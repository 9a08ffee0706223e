"""Lists what git knows of a working tree and of a commit. It reads no file of the working tree."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import Git, GitError
from conductor.snapshots.reading.entries import LeftOut, Listed
from conductor.snapshots.reading.service_folders import without_services
from conductor.snapshots.reading.view import View

SKIPPED_BY_SPARSE_CHECKOUT = b"S"
SHA1_DIGITS = 40


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """The entry of a tree at one path."""

    mode: str
    oid: str
    size: int = field(default=0, compare=False)


async def list_tree(git: Git, tree: str) -> dict[bytes, TreeEntry]:
    """Returns every file, link and submodule of a tree, by its path."""
    listing = await git.run("ls-tree", "-r", "-l", "-z", "--full-tree", tree)
    # Beside the event loop: half a million lines would delay every stream.
    return await asyncio.to_thread(parse_tree, listing)


def parse_tree(listing: bytes) -> dict[bytes, TreeEntry]:
    """Reads the output of `git ls-tree -r -l -z`."""
    return _by_path(map(_entry, _records(listing)))


async def list_workspace(view: View, left_out: LeftOut) -> tuple[Listed, ...]:
    """Returns the tracked and the new paths below the workspace folder, without ignored ones and services' files."""
    git, folder = view.git, view.repository.inside
    try:
        tracked = await git.run("ls-files", "-z", "-t", "--stage", "--cached", cwd=folder)
        others = await git.run("ls-files", "-z", "--others", "--exclude-standard", cwd=folder)
    except GitError as error:  # a damaged index, HEAD or configuration, which its owner can mend
        raise InvalidRequestError(
            Violation("workspace.path", f"is a repository that git cannot read: {error}")
        ) from error
    listed: Mapping[bytes, Listed] = {entry.path: entry for entry in map(_tracked, _records(tracked))}
    untracked = tuple(_untracked(others, listed, left_out))
    # Beside the event loop: any number of folders may look like a service's.
    kept = await asyncio.to_thread(lambda: tuple(without_services(folder, untracked, left_out)))
    return (*listed.values(), *kept)


def differences(
    base: Mapping[bytes, TreeEntry], found: Mapping[bytes, TreeEntry | None]
) -> dict[bytes, TreeEntry | None]:
    """Returns what turns one tree into the other: the new entry of each path, None where it is gone."""
    gone: dict[bytes, TreeEntry | None] = {path: None for path in base if path not in found}
    return gone | {path: entry for path, entry in found.items() if base.get(path) != entry}


def _by_path(entries: Iterable[tuple[bytes, TreeEntry]]) -> dict[bytes, TreeEntry]:
    """Returns entries by path. A path that a damaged tree has twice gets a mode that no host takes."""
    found: dict[bytes, TreeEntry] = {}
    for path, entry in entries:
        found[path] = replace(entry, mode="") if path in found else entry
    return found


def _entry(record: bytes) -> tuple[bytes, TreeEntry]:
    head, _, path = record.partition(b"\t")
    mode, _, oid, size = head.decode("ascii").split()
    # Submodules have no size, nor have objects that a partial clone lacks.
    return path, TreeEntry(mode, oid, int(size) if size.isdigit() else 0)


def _tracked(record: bytes) -> Listed:
    head, _, path = record.partition(b"\t")
    tag, mode, oid, _ = head.split()
    # An id of SHA-256 names nothing in the conductor's store.
    known = oid.decode("ascii") if len(oid) == SHA1_DIGITS else ""
    return Listed(path, mode.decode("ascii"), known, is_sparse=tag == SKIPPED_BY_SPARSE_CHECKOUT)


def _untracked(listing: bytes, tracked: Mapping[bytes, Listed], left_out: LeftOut) -> Iterator[Listed]:
    for path in _records(listing):
        if path.endswith(b"/"):
            left_out.add("repositories inside this one, left out", path)
        elif path not in tracked:
            yield Listed(path)


def _records(listing: bytes) -> list[bytes]:
    return [record for record in listing.split(b"\0") if record]
