"""Brings a workspace to the conductor as a snapshot: pins it here, says what is not committed, and sends what is lacking."""

import asyncio
from pathlib import Path

from conductor.cli.connection import Connection
from conductor.cli.pushing.cache import WorkspaceCache, cache_of
from conductor.cli.pushing.sending import sending
from conductor.cli.text.failure import CommandError
from conductor.core.model.plan import SnapshotPlan
from conductor.errors import StatusError
from conductor.snapshots.scopes.base import EMPTY_TREE
from conductor.snapshots.scopes.scope import Scope, ScopeKind
from conductor.snapshots.storing.pin import WorkspaceMode
from conductor.v1 import run_service_pb2
from conductor.v1 import workspace_service_pb2 as pb
from servicekit.printing.page import say

Workspace = run_service_pb2.Workspace
_SCOPES = {Workspace.SCOPE_DIFF: ScopeKind.DIFF, Workspace.SCOPE_UNCOMMITTED: ScopeKind.UNCOMMITTED}


def push_workspace(connection: Connection, workspace: Workspace) -> Workspace:
    """Returns the workspace as the conductor can read it: with the snapshot that it has now."""
    folder = Path(workspace.path)
    with cache_of(folder) as place:
        return asyncio.run(_Pushing(connection, workspace, folder, place).run())


class _Pushing:
    def __init__(self, connection: Connection, workspace: Workspace, folder: Path, place: Path) -> None:
        self._connection = connection
        self._workspace = workspace
        self._folder = folder
        self._place = place

    async def run(self) -> Workspace:
        cache = await WorkspaceCache.open(self._place)
        asked = self._workspace
        is_commit = asked.mode == Workspace.MODE_COMMIT
        scope = Scope(_SCOPES.get(asked.scope, ScopeKind.WHOLE), asked.base_revision, tuple(asked.paths))
        mode = WorkspaceMode.COMMIT if is_commit else WorkspaceMode.WORKING_TREE
        try:
            pinned = await cache.pin(self._folder, mode, asked.revision, scope.shortest())
        except StatusError as error:
            raise CommandError(
                f"the workspace cannot be sent: {error}", lines=(error.hint,) if error.hint else ()
            ) from error
        plan = pinned.plan
        history = await cache.history(plan.commit)
        if plan.base_commit and plan.base_commit not in history.parents:
            await self._send(cache, SnapshotPlan(plan.base_commit))
        await self._send(cache, plan)
        ready = Workspace()
        ready.CopyFrom(asked)
        ready.snapshot = plan.commit
        if scope.is_compared:
            ready.base_revision = plan.base_commit or EMPTY_TREE
        return ready

    async def _send(self, cache: WorkspaceCache, plan: SnapshotPlan) -> None:
        history = await cache.history(plan.commit)
        relatives = tuple(other for other in await cache.relatives(plan.commit) if other not in history.parents)
        offer = pb.SnapshotOffer(
            snapshot=plan.commit,
            commits=(*history.commits, *relatives),
            shallow=sorted(history.shallow),
            origin=pb.SnapshotOrigin(
                head_commit=plan.head_commit,
                dirty_paths=plan.dirty_paths,
                dirty_count=plan.dirty_count,
                notes=plan.notes,
            ),
        )
        with sending(self._connection) as call:
            answer = call.offer(offer)
            if answer.WhichOneof("part") == "pushed":
                return
            missing = frozenset(answer.missing.commits)
            have = frozenset(history.commits) - missing
            pack = await cache.pack(history, have, tuple(other for other in relatives if other not in missing))
            pushed = call.send(pack, lambda _sent, _all: None)
            say(f"sent {pushed.received_bytes} bytes", err=True)
