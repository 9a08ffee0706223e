"""Takes a pushed snapshot into the conductor's own store for a run, and gives it the run's scope."""

from conductor.core.model.plan import SnapshotPlan
from conductor.errors import InvalidRequestError, NotFoundError, Violation
from conductor.snapshots.git import Git, GitError
from conductor.snapshots.pushed.caller_store import CallerStore
from conductor.snapshots.pushed.records import Record
from conductor.snapshots.reading.source import SHA1_ID
from conductor.snapshots.scopes.base import EMPTY_TREE
from conductor.snapshots.scopes.scope import BASE, Scope, ScopeKind
from conductor.snapshots.scopes.scoping import Scoping
from conductor.snapshots.storing.history import bounded
from conductor.snapshots.storing.objects import ObjectStore


async def adopt(
    objects: ObjectStore, store: CallerStore, record: Record, scope: Scope, ref: str
) -> tuple[SnapshotPlan, bytes]:
    """Copies a snapshot, and the base that its scope names; returns its plan with the document of its changes."""
    origin = record.origin
    plan = SnapshotPlan(
        commit=record.snapshot,
        head_commit=origin.head_commit,
        dirty_paths=origin.dirty_paths,
        dirty_count=origin.dirty_count,
        notes=origin.notes,
        pin_time=record.receive_time,
    )
    async with store.reading():
        if await store.find(record.snapshot) is None:
            raise NotFoundError("snapshot", record.snapshot, hint="it was let go just now: push it again")
        await objects.copy(store.git, await store.history(record.snapshot))
        await objects.point(ref, record.snapshot)
        base = await _copy_base(objects, store, record, scope) if scope.is_compared else ""
    if scope == Scope():
        return plan, b""
    return await Scoping(objects, None, scope, f"{ref}-base", origin.converted_paths).between(plan, base)


async def scoped_again(objects: ObjectStore, plan: SnapshotPlan, scope: Scope) -> tuple[SnapshotPlan, bytes]:
    """Gives a snapshot of the conductor's own store a scope, whose base lies there too."""
    base = scope.base_revision if scope.is_compared else ""
    if base and base != EMPTY_TREE and not (SHA1_ID.fullmatch(base) and await is_commit(objects.git, base)):
        text = f"must be the whole id of a commit that the conductor keeps; '{base}' is none"
        raise InvalidRequestError(Violation(BASE, text))
    if scope.kind == ScopeKind.UNCOMMITTED and not base:
        raise InvalidRequestError(Violation(BASE, "is needed: what was not committed in this snapshot is not known"))
    if scope == Scope():
        return plan, b""
    return await Scoping(objects, None, scope, "").between(plan, "" if base == EMPTY_TREE else base)


async def is_commit(git: Git, oid: str) -> bool:
    """Returns whether an id is that of a commit which is there."""
    return (await git.attempt("cat-file", "-t", oid)).stdout == b"commit\n"


async def _copy_base(objects: ObjectStore, store: CallerStore, record: Record, scope: Scope) -> str:
    """Copies the base of a scope, which its caller pushed too; returns its id, empty where everything is new."""
    base = scope.base_revision
    if not base and scope.kind == ScopeKind.UNCOMMITTED:
        base = record.origin.head_commit or EMPTY_TREE
    if base == EMPTY_TREE:
        return ""
    if not SHA1_ID.fullmatch(base) or not await is_commit(store.git, base):
        text = f"must be the whole id of a commit that was pushed, as a snapshot or in the history of one; '{base}' is none"
        raise InvalidRequestError(Violation(BASE, text))
    try:
        await objects.copy(store.git, bounded([(base,)], {base}))
    except GitError as error:
        raise InvalidRequestError(Violation(BASE, f"was not pushed with all of its files: {base}")) from error
    return base
