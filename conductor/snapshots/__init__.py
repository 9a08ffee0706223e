"""Snapshots on the conductor's side.

    store ─▶ pin ─▶ source, working_tree, special_files, listing ─▶ objects ─▶ commit_writer, history, git
      ├────▶ scopes ─▶ source, objects
      └────▶ changes ─▶ working_tree, listing

`repository` finds the repository of a folder, `descent` goes into folders, `files` keeps their reading off the event loop.
Hosts get snapshots through `conductor.hosts.snapshots`.
"""

from conductor.snapshots.store import SnapshotStore
from conductor.snapshots.storing.pin import WorkspaceMode

__all__ = ["SnapshotStore", "WorkspaceMode"]
