"""Says in words what a run is about."""

from conductor.cli.text.wording import counted
from conductor.v1 import run_service_pb2
from servicekit.printing.terminal_text import one_line

Workspace = run_service_pb2.Workspace
SHOWN_PATHS = 5


def place_of(workspace: Workspace) -> str:
    """Returns where the code came from: a path, or the URL of a repository."""
    return workspace.path or workspace.url


def scope(run: run_service_pb2.Run) -> str:
    """Returns `what changed since main (4d2f…): 3 files (+12 -4), only src`; empty where the run is about everything."""
    snapshot = run.snapshot
    paths = [one_line(path, 100) for path in snapshot.paths[:SHOWN_PATHS]]
    if more := len(snapshot.paths) - len(paths):
        paths.append(f"{more} more")
    told = [f"only {', '.join(paths)}"] if paths else []
    if snapshot.scope in (Workspace.SCOPE_DIFF, Workspace.SCOPE_UNCOMMITTED):
        told.insert(0, _changes(run))
    return ", ".join(told)


def _changes(run: run_service_pb2.Run) -> str:
    snapshot = run.snapshot
    base = snapshot.base_commit[:12] or "the empty tree"
    if snapshot.scope == Workspace.SCOPE_DIFF:
        since = f"what changed since {one_line(run.workspace.base_revision, 100)} ({base})"
    else:
        since = f"what is not committed ({base})"
    added = sum(file.added_lines for file in snapshot.changed)
    removed = sum(file.removed_lines for file in snapshot.changed)
    lines = f" (+{added} -{removed})" if len(snapshot.changed) == snapshot.changed_count and added + removed else ""
    return f"{since}: {counted(snapshot.changed_count, 'file')}{lines}"
