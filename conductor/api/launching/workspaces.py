"""Finds the workspace that a request names, and pins it: a few at once, because pinning a large one takes the disk."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conductor.api.messages.runs import MODES
from conductor.api.messages.scopes import MAX_REVISION_CHARACTERS, read_scope, scope_violations
from conductor.errors import NoCapacityError, Violation
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.roots import WorkspaceRoots
from conductor.snapshots.scopes.scope import Scope
from conductor.snapshots.shared_work import SharedWork
from conductor.snapshots.store import Pinned, SnapshotStore
from conductor.snapshots.storing.pin import WorkspaceMode
from conductor.v1 import run_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# Longer than a repository with an endless configuration keeps its place (see `snapshots.reading.blocking_files`).
MAX_PLACE_WAIT_SECONDS = 25.0

_MODE_NAMES = {
    pb.Workspace.MODE_UNSPECIFIED: WorkspaceMode.WORKING_TREE,
    **{value: name for name, value in MODES.items()},
}


@dataclass(frozen=True, slots=True)
class Located:
    """A workspace that may be read. Two requests with equal ones mean the same content, if they ask at the same moment."""

    folder: Path
    mode: str
    revision: str
    scope: Scope


class Workspaces:
    """Pins workspaces for runs; `most` at once."""

    def __init__(self, snapshots: SnapshotStore, roots: WorkspaceRoots, most: int) -> None:
        self._snapshots = snapshots
        self._roots = roots
        self._most = most
        self._places = asyncio.Semaphore(most)
        self._held = KeyedLocks()
        self._pins = SharedWork[Pinned]()

    async def locate(self, workspace: pb.Workspace) -> Located:
        """Returns the workspace of a request without violations; raises RequestError where it may not be read."""
        folder = await asyncio.to_thread(self._roots.resolve, workspace.path)
        return Located(folder, str(_MODE_NAMES[workspace.mode]), workspace.revision, read_scope(workspace))

    async def pin(self, located: Located) -> Pinned:
        """Pins a workspace; callers that wait for the same share a pin that begins after all of them asked.

        A caller who gets no place in time is told so before their own deadline passes.
        """

        async def work(begin: "Callable[[], None]") -> Pinned:
            async with self._place(str(located.folder)):
                begin()
                return await self._snapshots.pin_scope(located.folder, located.mode, located.revision, located.scope)

        return await self._pins.join(located, work)

    @asynccontextmanager
    async def _place(self, name: str) -> "AsyncIterator[None]":
        """Holds a place among the pins: one for each workspace, so that requests for one workspace take no other's place."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(MAX_PLACE_WAIT_SECONDS):
                    await stack.enter_async_context(self._held.hold(name))
                    await stack.enter_async_context(self._places)
            except TimeoutError as error:
                text = (
                    f"{self._most} runs are being created, or one over this workspace, for {MAX_PLACE_WAIT_SECONDS:g} s"
                )
                raise NoCapacityError(text, hint="retry with the same request id") from error
            yield


def workspace_violations(workspace: pb.Workspace) -> list[Violation]:
    """Returns the faults in the form of a request's workspace."""
    violations = []
    if not workspace.path:
        violations.append(Violation("workspace.path", "is missing; give the absolute path of a directory"))
    if workspace.mode not in _MODE_NAMES:
        violations.append(Violation("workspace.mode", "is not a value of the enumeration"))
    if len(workspace.revision) > MAX_REVISION_CHARACTERS:
        violations.append(Violation("workspace.revision", f"has more than {MAX_REVISION_CHARACTERS} characters"))
    return [*violations, *scope_violations(workspace)]
