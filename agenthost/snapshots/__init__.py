"""Snapshots on the host's side.

agenthost.snapshot_store ─▶ incoming ─▶ packs ─▶ git
                                    └─▶ checkout, index_file ─▶ tree
                         └▶ fingerprint, ready
"""
