"""Decides which snapshots are intact, and which may be evicted."""
