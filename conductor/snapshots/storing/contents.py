"""Reads files of a snapshot by path, for citation checks. A few git processes, however many paths.

Paths come from agents: anything but the plain path of a regular file is answered with why not, never followed. A name that is no
UTF-8 is asked for with a backslash, x and the digits of each such byte; a file that has these characters in its name comes first.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from conductor.snapshots.git import Git, check
from conductor.snapshots.reading.entries import FILE, PROGRAM

PATHS_PER_LISTING = 400
MAX_PATH_BYTES = 4000
_BYTE = re.compile(r"\\x([89a-f][0-9a-f])")


class NoContent(StrEnum):
    """Why a path has no content to read."""

    NOTHING_THERE = "nothing there"
    NO_REGULAR_FILE = "no regular file"
    TOO_LARGE = "too large"


async def read_files(git: Git, commit: str, paths: Sequence[str], max_bytes_each: int) -> dict[str, bytes | NoContent]:
    """Returns the content of each path, or why it has none."""
    files: dict[str, bytes | NoContent] = dict.fromkeys(paths, NoContent.NOTHING_THERE)
    raw = {path: _with_bytes(path) for path in files}
    asked = dict.fromkeys((*files, *raw.values()))
    found = await _blobs(git, commit, [path for path in asked if _is_plain(path)], max_bytes_each)
    blobs = {path: found.get(path, found.get(raw[path], "")) for path in files if path in found or raw[path] in found}
    contents = await read_contents(
        git, tuple(dict.fromkeys(oid for oid in blobs.values() if not isinstance(oid, NoContent)))
    )
    return files | {path: oid if isinstance(oid, NoContent) else contents[oid] for path, oid in blobs.items()}


async def _blobs(git: Git, commit: str, paths: list[str], max_bytes_each: int) -> dict[str, str | NoContent]:
    """Returns the ids of those paths that are regular files and small enough, and why others have no content."""
    blobs: dict[str, str | NoContent] = {}
    for start in range(0, len(paths), PATHS_PER_LISTING):
        asked = paths[start : start + PATHS_PER_LISTING]
        listing = await git.run("ls-tree", "-l", "-z", "--full-tree", commit, "--", *asked)
        for record in listing.split(b"\0")[:-1]:
            head, _, path = record.partition(b"\t")
            mode, _, oid, size = head.decode("ascii").split()
            name = path.decode("utf-8", "surrogateescape")
            if mode not in (FILE, PROGRAM):
                blobs[name] = NoContent.NO_REGULAR_FILE
            else:
                blobs[name] = oid if int(size) <= max_bytes_each else NoContent.TOO_LARGE
    return {path: blobs[path] for path in paths if path in blobs}


async def read_contents(git: Git, oids: Sequence[str]) -> dict[str, bytes]:
    """Returns the contents of some objects, by their ids."""
    contents = {}
    asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
    async with git.start("cat-file", "--batch", "--buffer", stdin=asked) as running:
        for oid in oids:
            line = await running.read_line()
            if not line.endswith(b"\n"):
                check("cat-file", await running.finish())
            size = int(line.split()[2])
            contents[oid] = (await running.read_exactly(size + 1))[:-1]
    return contents


def _with_bytes(path: str) -> str:
    """Returns a path with the bytes that stand in it in hexadecimal digits."""
    return _BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), path)


def _is_plain(path: str) -> bool:
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    if b"\0" in encoded or not 0 < len(encoded) <= MAX_PATH_BYTES:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))
