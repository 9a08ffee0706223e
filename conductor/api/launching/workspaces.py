"""Finds the workspace that a request names, and pins it: a few at once, because pinning a large one takes the disk.

A workspace is a folder that the conductor can see, a snapshot that its caller pushed, or a repository that it fetches.
"""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conductor.api.messages.pushes import shown_text
from conductor.api.messages.runs import MODES
from conductor.api.messages.scopes import MAX_REVISION_CHARACTERS, read_scope, scope_violations
from conductor.core.access.roles import Role
from conductor.errors import NoCapacityError, NotFoundError, Violation
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.pushed.caller_store import CallerStore
from conductor.snapshots.pushed.records import Record
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.snapshots.reading.source import SHA1_ID
from conductor.snapshots.roots import WorkspaceRoots
from conductor.snapshots.scopes.scope import Scope
from conductor.snapshots.shared_work import SharedWork
from conductor.snapshots.store import Pinned, SnapshotStore
from conductor.snapshots.storing.pin import WorkspaceMode
from conductor.v1 import run_service_pb2 as pb
from servicekit.calls.callers import Caller, current_caller
from servicekit.fetching.urls import RepositoryUrl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# Longer than a repository with an endless configuration keeps its place (see `snapshots.reading.blocking_files`).
MAX_PLACE_WAIT_SECONDS = 25.0
MAX_SHOWN_PATH = 4000  # of a path on the caller's machine

_MODE_NAMES = {
    pb.Workspace.MODE_UNSPECIFIED: WorkspaceMode.WORKING_TREE,
    **{value: name for name, value in MODES.items()},
}


@dataclass(frozen=True, slots=True)
class Located:
    """A workspace that may be read. Two requests with equal ones mean the same content, if they ask at the same moment."""

    path: str
    mode: str
    revision: str
    scope: Scope
    snapshot: str = ""
    caller: Caller | None = None  # of a pushed snapshot
    url: RepositoryUrl | None = None


class Workspaces:
    """Pins workspaces for runs; `most` at once."""

    def __init__(
        self, snapshots: SnapshotStore, pushed: PushedSnapshots, fetching: Fetching, roots: WorkspaceRoots, most: int
    ) -> None:
        self._snapshots = snapshots
        self._pushed = pushed
        self._fetching = fetching
        self._roots = roots
        self._most = most
        self._places = asyncio.Semaphore(most)
        self._held = KeyedLocks()
        self._pins = SharedWork[Pinned]()

    async def locate(self, workspace: pb.Workspace) -> Located:
        """Returns the workspace of a request without violations; raises RequestError where it may not be read."""
        mode, scope = str(_MODE_NAMES[workspace.mode]), read_scope(workspace)
        if workspace.url:
            url = self._fetching.read_url(workspace.url)
            return Located(str(url), str(WorkspaceMode.COMMIT), workspace.revision, scope, url=url)
        if workspace.snapshot:
            located = Located(
                shown_text(workspace.path), mode, workspace.revision, scope, workspace.snapshot, current_caller()
            )
            if await self._find_pushed(located) is None and not await self._may_read_kept(located):
                raise _not_found(located.snapshot)
            return located
        folder = await asyncio.to_thread(self._roots.resolve, workspace.path)
        return Located(str(folder), mode, workspace.revision, scope)

    async def pin(self, located: Located) -> Pinned:
        """Pins a workspace; callers that wait for the same share a pin that begins after all of them asked.

        A caller who gets no place in time is told so before their own deadline passes.
        """

        async def work(begin: "Callable[[], None]") -> Pinned:
            if located.url is not None:
                return await self._fetching.pin(located.url, located.revision, located.scope, begin)
            async with self._place(located.snapshot or located.path):
                begin()
                if located.snapshot:
                    return await self._pin_snapshot(located)
                folder = Path(located.path)
                return await self._snapshots.pin_scope(folder, located.mode, located.revision, located.scope)

        return await self._pins.join(located, work)

    async def _pin_snapshot(self, located: Located) -> Pinned:
        found = await self._find_pushed(located)
        if found is not None:
            return await self._snapshots.pin_pushed(*found, located.path, located.scope)
        if await self._may_read_kept(located):
            return await self._snapshots.pin_kept(located.snapshot, located.scope)
        raise _not_found(located.snapshot)

    async def _find_pushed(self, located: Located) -> tuple[CallerStore, Record] | None:
        caller = located.caller or current_caller()
        return await self._pushed.find(caller.identity, located.snapshot, reads_all=caller.role == Role.ADMIN)

    async def _may_read_kept(self, located: Located) -> bool:
        """Returns whether an admin names the snapshot of a run or of a workspace, which need not be pushed."""
        caller = located.caller or current_caller()
        return caller.role == Role.ADMIN and await self._snapshots.is_kept(located.snapshot)

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


def _not_found(snapshot: str) -> NotFoundError:
    return NotFoundError("snapshot", snapshot, hint="push it first: WorkspaceService.PushWorkspace")


def workspace_violations(workspace: pb.Workspace) -> list[Violation]:
    """Returns the faults in the form of a request's workspace."""
    violations = []
    if workspace.snapshot and not SHA1_ID.fullmatch(workspace.snapshot):
        violations.append(Violation("workspace.snapshot", "must be a commit id of 40 hexadecimal digits"))
    if workspace.snapshot and len(workspace.path) > MAX_SHOWN_PATH:
        violations.append(Violation("workspace.path", f"has more than {MAX_SHOWN_PATH} characters"))
    if not workspace.path and not workspace.snapshot and not workspace.url:
        violations.append(Violation("workspace.path", "is missing; give the absolute path of a directory"))
    if workspace.url:
        violations += _url_violations(workspace)
    if workspace.mode not in _MODE_NAMES:
        violations.append(Violation("workspace.mode", "is not a value of the enumeration"))
    if len(workspace.revision) > MAX_REVISION_CHARACTERS:
        violations.append(Violation("workspace.revision", f"has more than {MAX_REVISION_CHARACTERS} characters"))
    return [*violations, *scope_violations(workspace)]


def _url_violations(workspace: pb.Workspace) -> "Iterator[Violation]":
    """Yields the fields that say something else than a URL does."""
    for name in ("path", "snapshot"):
        if getattr(workspace, name):
            yield Violation(f"workspace.{name}", "and workspace.url are two workspaces: give one of them")
    if workspace.mode == pb.Workspace.MODE_WORKING_TREE:
        yield Violation("workspace.mode", "is for a directory: of a URL a commit is read; leave it out")
