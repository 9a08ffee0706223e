"""The embedded store: one SQLite database, one writer thread, readers beside it."""
