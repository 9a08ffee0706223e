"""Keeps the engine's time for the next process, which `conductor.clock` makes a clock of."""

import sqlite3

from conductor.clock import Past


def read_past(connection: sqlite3.Connection) -> Past:
    """Returns the time of the newest event, and the offset that was kept last."""
    last = connection.execute("SELECT time FROM journal ORDER BY id DESC LIMIT 1").fetchone()
    at_work = connection.execute("SELECT EXISTS (SELECT 1 FROM runs WHERE end_time IS NULL)").fetchone()
    kept = connection.execute("SELECT boot, offset FROM clock").fetchone() or ("", 0.0)
    return Past(0.0 if last is None else float(last[0]), bool(at_work[0]), *kept)


def keep_offset(connection: sqlite3.Connection, boot: str, offset: float) -> None:
    """Keeps how far the engine's time lies ahead of the steady clock of a boot."""
    connection.execute("PRAGMA synchronous = FULL").fetchall()
    connection.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", (boot, offset))
