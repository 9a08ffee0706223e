"""Reads the events of all runs in the order of their ids."""

from conductor.store.port import END, FEED_EVENTS
from conductor.store.postgresql.pipeline import Connection, ask, run_together
from conductor.store.records import FeedPage
from conductor.store.rows.feed import join_feed

_FEED = """
SELECT j.id, r.run, r.flow, r.labels, j.position, j.time, j.type, j.data, r.delete_time, r.root
FROM journal j JOIN runs r ON r.key = j.run WHERE j.id > %s ORDER BY j.id LIMIT %s
"""
_DELETIONS = "SELECT id, run, flow, labels, time FROM deletions WHERE id > %s ORDER BY id LIMIT %s"


async def read_feed(connection: Connection, after_id: int, limit: int) -> FeedPage:
    """Returns events of all runs, and deletions, after an id. Rows that cannot be read, and those of deleted runs, are left out."""
    size = min(limit, FEED_EVENTS)
    rows, deletions = await run_together(connection, (_FEED, (after_id, size)), (_DELETIONS, (after_id, size)))
    # Beside a whole page of events only deletions before its end: the next page has the others.
    to = rows[-1][0] if len(rows) == size else END
    return join_feed(rows, [row for row in deletions if row[0] <= to], after_id, size)


async def read_last_id(connection: Connection) -> int:
    """Returns the id of the newest row: the feed has nothing after it yet."""
    return int((await ask(connection, "SELECT last_id FROM meta"))[0][0])
