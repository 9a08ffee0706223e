"""Writes and reads the conductor's own object store."""
