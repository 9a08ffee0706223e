"""Snapshots on the host's side.

agenthost.snapshots.store ─▶ incoming ─▶ packs ─▶ git
                                    └─▶ checkout, index_file ─▶ tree
                         └▶ fingerprint, ready
"""
