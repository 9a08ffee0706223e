"""Snapshots on the conductor's side.

    store ─▶ pin ─▶ source, working_tree, listing, commit_writer ─▶ objects ─▶ history, git

`repository` finds what a folder belongs to, `reading` keeps files off the event loop. Hosts get snapshots through
`conductor.snapshot_link`.
"""

from conductor.snapshots.pin import WorkspaceMode
from conductor.snapshots.store import SnapshotStore

__all__ = ["SnapshotStore", "WorkspaceMode"]
