"""Measures the database and its settled runs. Sizes are those of contents; rows and indexes come on top."""

import sqlite3

from conductor.store.records import SettledRun, Usage

PAGE_RUNS = 200

# An index knows the length of a channel; no text is read. What a run's sub-runs hold is deleted with it, and counts with it.
_OLDEST = """
SELECT r.run, r.end_time, (SELECT sum(
  (SELECT coalesce(sum(length(j.data)), 0) FROM journal j WHERE j.run = p.key)
  + (SELECT coalesce(sum(max(
       coalesce((SELECT max(c.end_byte) FROM chunks c WHERE c.attempt = a.key AND c.channel = n.value), 0),
       coalesce((SELECT max(s.end_byte) FROM strips s WHERE s.attempt = a.key AND s.channel = n.value), 0))), 0)
     FROM attempts a, json_each('["answer", "reasoning", "log", "activity"]') n WHERE a.run = p.key)
  + (SELECT coalesce(sum(length(b.data)), 0) FROM run_blobs l JOIN blobs b ON b.digest = l.digest WHERE l.run = p.key
     AND NOT EXISTS (SELECT 1 FROM run_blobs o WHERE o.digest = l.digest AND o.run <> l.run)))
  FROM runs p WHERE p.key = r.key OR (p.root <> '' AND p.root = r.run))
FROM runs r WHERE r.end_time IS NOT NULL AND r.delete_time IS NULL AND r.root = '' AND (r.end_time, r.run) > (?, ?)
ORDER BY r.end_time, r.run LIMIT ?
"""


def read_usage(connection: sqlite3.Connection) -> Usage:
    """Returns the size of the database, and how many runs it holds."""
    page = int(connection.execute("PRAGMA page_size").fetchone()[0])
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    query = "SELECT count(*), count(end_time) FROM runs WHERE delete_time IS NULL AND root = ''"
    runs, settled = connection.execute(query).fetchone()
    return Usage(file_bytes=pages * page, used_bytes=(pages - free) * page, runs=runs, settled_runs=settled)


def list_settled(connection: sqlite3.Connection, after: tuple[float, str], limit: int = PAGE_RUNS) -> list[SettledRun]:
    """Returns settled runs after a place, those first that ended first."""
    return [SettledRun(*row) for row in connection.execute(_OLDEST, (*after, min(limit, PAGE_RUNS))).fetchall()]
