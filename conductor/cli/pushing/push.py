"""Brings a workspace to the conductor as a snapshot: pins it here, says what is not committed, and sends what is lacking."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conductor.cli.connection import Connection
from conductor.cli.pushing.cache import WorkspaceCache, cache_of
from conductor.cli.pushing.delivery import Delivery
from conductor.cli.pushing.outgoing import Outgoing, committed_lines, committed_secrets
from conductor.cli.text.failure import CommandError
from conductor.cli.text.wording import size
from conductor.errors import StatusError
from conductor.snapshots.git import DiskFullError
from conductor.snapshots.pushed.limits import (
    MAX_CONVERTED_PATHS,
    MAX_NOTE_CHARACTERS,
    MAX_NOTES,
    MAX_SHOWN_CHARACTERS,
)
from conductor.snapshots.reading.entries import shown
from conductor.snapshots.scopes.base import EMPTY_TREE
from conductor.snapshots.scopes.scope import Scope, ScopeKind
from conductor.snapshots.store import Pinned
from conductor.snapshots.storing.pin import WorkspaceMode
from conductor.v1 import run_service_pb2
from conductor.v1 import workspace_service_pb2 as pb
from servicekit.printing.page import say
from servicekit.printing.terminal_text import printable

Workspace = run_service_pb2.Workspace
_SCOPES = {Workspace.SCOPE_DIFF: ScopeKind.DIFF, Workspace.SCOPE_UNCOMMITTED: ScopeKind.UNCOMMITTED}


def push_workspace(connection: Connection, workspace: Workspace, *, takes_secrets: bool = False) -> Workspace:
    """Returns the workspace as the conductor can read it: with the snapshot of what it holds now."""
    with cache_of(Path(workspace.path)) as place, asyncio.Runner() as runner:
        try:
            cache = WorkspaceCache(place, runner)
            return _Pushing(connection, workspace, cache, Outgoing(takes_secrets)).run()
        except DiskFullError as error:
            raise CommandError(f"the disk of the cache folder {place} is full", lines=("free space on it",)) from error
        except StatusError as error:
            raise CommandError(str(error), lines=(error.hint,) if error.hint else ()) from error


@dataclass(frozen=True, slots=True)
class _Pushing:
    connection: Connection
    workspace: Workspace
    cache: WorkspaceCache
    outgoing: Outgoing

    def run(self) -> Workspace:
        cache = self.cache
        scope = self._scope()
        pinned = self._pin(scope)
        plan = pinned.plan
        self._tell(pinned)
        delivery = Delivery(self.connection, cache)
        delivery.finish_earlier(plan.commit)
        history = cache.history(plan.commit)
        relatives = cache.relatives(plan.commit)
        if plan.base_commit and plan.base_commit not in history.parents:
            delivery.deliver(cache.history(plan.base_commit), relatives, pb.SnapshotOrigin())
        others = tuple(other for other in (*relatives, plan.base_commit) if other and other not in history.parents)
        delivery.deliver(history, others, _origin(pinned))
        sent = f"sent {size(delivery.sent_bytes)}" if delivery.sent_bytes else "sent nothing: the conductor has it"
        cache.tidy()
        say(f"  {sent}; snapshot {plan.commit[:12]}", err=True)
        ready = Workspace()
        ready.CopyFrom(self.workspace)
        ready.snapshot = plan.commit
        if scope.is_compared:
            ready.base_revision = plan.base_commit or EMPTY_TREE
        return ready

    def _scope(self) -> Scope:
        asked = self.workspace
        unspecified = ScopeKind.DIFF if asked.base_revision else ScopeKind.WHOLE
        return Scope(_SCOPES.get(asked.scope, unspecified), asked.base_revision, tuple(asked.paths)).shortest()

    def _pin(self, scope: Scope) -> Pinned:
        asked = self.workspace
        is_commit = asked.mode == Workspace.MODE_COMMIT
        mode = WorkspaceMode.COMMIT if is_commit else WorkspaceMode.WORKING_TREE
        return self.cache.pin(Path(asked.path), mode, asked.revision, scope, self.outgoing)

    def _tell(self, pinned: Pinned) -> None:
        for line in self.outgoing.lines(printable(self.workspace.path), pinned.plan, pinned.converted):
            say(line, 6, err=True)
        if not self.outgoing.takes_secrets:
            committed = committed_secrets(self.cache.tree(pinned.plan.commit), self.outgoing.paths)
            for line in committed_lines(committed):
                say(line, 6, err=True)


def _within(characters: int, texts: Iterable[str]) -> Iterator[str]:
    """Yields the first texts, as many as have no more characters together."""
    for text in texts:
        characters -= len(text)
        if characters < 0:
            return
        yield text


def _origin(pinned: Pinned) -> pb.SnapshotOrigin:
    plan = pinned.plan
    return pb.SnapshotOrigin(
        head_commit=plan.head_commit,
        dirty_paths=_within(MAX_SHOWN_CHARACTERS // 2, plan.dirty_paths),
        dirty_count=plan.dirty_count,
        notes=_within(MAX_SHOWN_CHARACTERS // 2, [note[:MAX_NOTE_CHARACTERS] for note in plan.notes[:MAX_NOTES]]),
        converted_paths=[shown(path) for path in pinned.converted[:MAX_CONVERTED_PATHS]],
    )
