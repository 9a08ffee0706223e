"""Writes blobs and snapshot commits into the conductor's own object store, through `git fast-import`.

A snapshot commit depends on its content, its parent and the cut of its history only: identity and message are fixed, and its time
is one second after its parent's. (A fixed time would be older than the parent, and `git log --since` would stop at the snapshot.)
The cut counts because hosts know snapshots by their ids: that of a shallow clone must not stand for the same commit with its
history. It does not choose what is written.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from conductor.snapshots.git import Git, check
from conductor.snapshots.reading.listing import TreeEntry
from servicekit.programs import Running

IDENTITY = b"conductor <conductor@localhost>"
MESSAGE = b"Snapshot of a working tree"
TIME_WITHOUT_PARENT = 946_684_800  # the first second of 2000
LATEST_TIME = 4_102_444_800  # 2100: a later time of a commit is not believed


Changes = Mapping[bytes, TreeEntry | None]


@dataclass(frozen=True, slots=True)
class Parent:
    """The commit below a snapshot. `cut` tells where its own repository lacks the rest of its history, empty where nowhere."""

    commit: str = ""
    time: int = 0
    cut: str = ""


NO_PARENT = Parent()


class CommitWriter:
    """One import, a context manager; `commit` ends it. Git starts with the first blob: most trees equal their commit."""

    def __init__(self, store: Git) -> None:
        self._store = store
        self._stack = AsyncExitStack()
        self._running: Running | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def blob(self, data: bytes) -> None:
        """Adds one content."""
        await (await self._started()).write(b"blob\ndata %d\n" % len(data) + data + b"\n")

    async def commit(self, ref: str, changes: Changes, parent: Parent = NO_PARENT) -> str:
        """Commits the parent's tree with some paths changed (None: removed), points `ref` at it, and returns its id."""
        running = await self._started()
        await running.write(_commit(ref, changes, parent))
        running.close_stdin()
        oid = (await running.read_line()).decode("ascii").strip()
        check("fast-import", await running.finish())
        return oid

    async def _started(self) -> Running:
        if self._running is None:
            process = self._store.start("fast-import", "--quiet", "--force", "--done", "--date-format=raw")
            self._running = await self._stack.enter_async_context(process)
        return self._running


def _commit(ref: str, changes: Changes, parent: Parent) -> bytes:
    time = min(max(parent.time, 0), LATEST_TIME) + 1 if parent.commit else TIME_WITHOUT_PARENT
    message = MESSAGE + (b"; the repository's history ends here: " + parent.cut.encode() if parent.cut else b"")
    lines = [b"commit %s\nmark :1\n" % ref.encode(), b"committer %s %d +0000\n" % (IDENTITY, time)]
    lines.append(b"data %d\n%s\n" % (len(message), message))
    if parent.commit:
        lines.append(b"from %s\n" % parent.commit.encode())
    # Removals first: a file may have become a folder.
    lines += [b"D %s\n" % _quoted(path) for path, entry in changes.items() if entry is None]
    lines += [
        b"M %s %s %s\n" % (entry.mode.encode(), entry.oid.encode(), _quoted(path))
        for path, entry in changes.items()
        if entry is not None
    ]
    return b"".join((*lines, b"\nget-mark :1\ndone\n"))


def _quoted(path: bytes) -> bytes:
    """Returns a path as fast-import reads it, whatever bytes it holds."""
    plain = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + plain + b'"'
