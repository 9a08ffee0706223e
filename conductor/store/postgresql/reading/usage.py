"""Measures the database and its settled runs. Sizes are those of contents; rows and indexes come on top."""

from conductor.store.postgresql.pipeline import Connection, ask, run_together
from conductor.store.records import SettledRun, Usage

PAGE_RUNS = 200

# Not of pages: room that deleted rows left is used again and never given back, so it would look as if deleting did not help.
_SIZES = """
SELECT (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace),
  ((SELECT coalesce(sum(octet_length(data)), 0) FROM journal) + (SELECT coalesce(sum(octet_length(data)), 0) FROM blobs)
  + (SELECT coalesce(sum(greatest(
       (SELECT coalesce(max(c.end_byte), 0) FROM chunks c WHERE c.attempt = a.key AND c.channel = n.channel),
       (SELECT coalesce(max(s.end_byte), 0) FROM strips s WHERE s.attempt = a.key AND s.channel = n.channel))), 0)
     FROM attempts a, unnest(ARRAY['answer', 'reasoning', 'log', 'activity']) n(channel)))::bigint
"""
_COUNTS = "SELECT count(*), count(end_time) FROM runs WHERE delete_time IS NULL AND root = ''"
# An index knows the length of a channel; no text is read. What a run's sub-runs hold is deleted with it, and counts with it.
_OLDEST = """
SELECT r.run, r.end_time, (SELECT sum(
  (SELECT coalesce(sum(octet_length(j.data)), 0) FROM journal j WHERE j.run = p.key)
  + (SELECT coalesce(sum(greatest(
       (SELECT coalesce(max(c.end_byte), 0) FROM chunks c WHERE c.attempt = a.key AND c.channel = n.channel),
       (SELECT coalesce(max(s.end_byte), 0) FROM strips s WHERE s.attempt = a.key AND s.channel = n.channel))), 0)
     FROM attempts a, unnest(ARRAY['answer', 'reasoning', 'log', 'activity']) n(channel) WHERE a.run = p.key)
  + (SELECT coalesce(sum(octet_length(b.data)), 0) FROM run_blobs l JOIN blobs b ON b.digest = l.digest WHERE l.run = p.key
     AND NOT EXISTS (SELECT 1 FROM run_blobs o WHERE o.digest = l.digest AND o.run <> l.run)))
  FROM runs p WHERE p.key = r.key OR (p.root <> '' AND p.root = r.run))::bigint
FROM runs r WHERE r.end_time IS NOT NULL AND r.delete_time IS NULL AND r.root = '' AND (r.end_time, r.run) > (%s, %s)
ORDER BY r.end_time, r.run LIMIT %s
"""


async def read_usage(connection: Connection) -> Usage:
    """Returns the size of the conductor's tables, of what they hold, and how many runs that is."""
    sizes, counts = await run_together(connection, (_SIZES, ()), (_COUNTS, ()))
    return Usage(*sizes[0], *counts[0])


async def list_settled(connection: Connection, after: tuple[float, str], limit: int = PAGE_RUNS) -> list[SettledRun]:
    """Returns settled runs after a place, those first that ended first."""
    return [SettledRun(*row) for row in await ask(connection, _OLDEST, *after, min(limit, PAGE_RUNS))]
