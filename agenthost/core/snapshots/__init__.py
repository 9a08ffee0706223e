"""Which snapshots are intact, and which may be evicted."""
