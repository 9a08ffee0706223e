"""The scope of a workspace, as callers ask for it."""

from conductor.api.messages.runs import SCOPES
from conductor.errors import Violation
from conductor.snapshots.scopes.scope import BASE, Scope, ScopeKind
from conductor.v1 import run_service_pb2 as pb

MAX_REVISION_CHARACTERS = 200
_KINDS = {value: ScopeKind(word) for word, value in SCOPES.items()}


def scope_violations(workspace: pb.Workspace) -> list[Violation]:
    """Returns the faults of a workspace's scope."""
    if workspace.scope and workspace.scope not in _KINDS:
        return [Violation("workspace.scope", "is not a value of the enumeration")]
    if len(workspace.base_revision) > MAX_REVISION_CHARACTERS:
        return [Violation(BASE, f"has more than {MAX_REVISION_CHARACTERS} characters")]
    return _asked(workspace).faults(
        is_commit=workspace.mode == pb.Workspace.MODE_COMMIT or bool(workspace.url), is_pushed=bool(workspace.snapshot)
    )


def read_scope(workspace: pb.Workspace) -> Scope:
    """Returns the scope of a workspace without faults."""
    return _asked(workspace).shortest()


def _asked(workspace: pb.Workspace) -> Scope:
    unspecified = ScopeKind.DIFF if workspace.base_revision else ScopeKind.WHOLE
    kind = _KINDS.get(workspace.scope, unspecified)
    return Scope(kind, workspace.base_revision, tuple(workspace.paths))
