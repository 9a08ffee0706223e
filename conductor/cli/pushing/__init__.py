"""Sends a workspace to a conductor on another machine.

push ─▶ cache ─▶ conductor.snapshots       pins the workspace here, by the rules of the conductor, and makes packs
├───▶ outgoing                           counts what is not committed, and withholds what looks like a secret
└───▶ sending                            speaks WorkspaceService.PushWorkspace
"""
