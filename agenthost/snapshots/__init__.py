"""Receives, checks out, keeps and evicts snapshots on the host.

agenthost.snapshots.store ─▶ packs ─▶ git
                         └─▶ checkout, index_file ─▶ tree
                         └─▶ readiness, eviction
"""
