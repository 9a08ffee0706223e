"""Snapshots on the conductor's side.

    store ─▶ pin ─▶ source, working_tree, special_files, listing ─▶ objects ─▶ commit_writer, history, git
      └────▶ changes ─▶ working_tree, listing

`repository` finds what a folder belongs to, `descent` goes into it, `reading` keeps files off the event loop.
Hosts get snapshots through `conductor.snapshot_link`.
"""

from conductor.snapshots.pin import WorkspaceMode
from conductor.snapshots.store import SnapshotStore

__all__ = ["SnapshotStore", "WorkspaceMode"]
