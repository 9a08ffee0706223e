"""Reads the runs that have not ended, as a new process needs them, and finds gaps in a run."""

from itertools import groupby
from operator import itemgetter

from conductor.store.codec import UndecodableEventError
from conductor.store.postgresql.pipeline import Connection, Row, ask, run_together
from conductor.store.records import StoredEvent, StoredRun
from conductor.store.rows.history import decode_events, find_wrong_cursor

RUNS_AT_ONCE = 20

_RUNS = "SELECT key, run FROM runs WHERE end_time IS NULL ORDER BY create_time, run"
_EVENTS = "SELECT run, position, time, type, data FROM journal WHERE run = ANY(%s) ORDER BY run, position"
CURSORS = "SELECT run, attempt, cursor FROM attempts WHERE run = ANY(%s) ORDER BY run"
GAPS = """
SELECT k, greatest((SELECT coalesce(max(position), 0) FROM journal WHERE run = k),
  (SELECT coalesce(max(position), 0) FROM chunks WHERE run = k),
  (SELECT coalesce(max(position), 0) FROM blocks WHERE run = k)),
  (SELECT count(*) FROM journal WHERE run = k) + (SELECT count(*) FROM chunks WHERE run = k)
  + (SELECT coalesce(sum(entries), 0)::bigint FROM blocks WHERE run = k)
FROM unnest(%s::bigint[]) n(k)
"""


async def read_unfinished(connection: Connection) -> list[StoredRun]:
    """Returns every run that has not ended, the oldest first. One that cannot be read harms no other (I5)."""
    runs = await ask(connection, _RUNS)
    found: list[StoredRun] = []
    for first in range(0, len(runs), RUNS_AT_ONCE):
        found += await _read_some(connection, runs[first : first + RUNS_AT_ONCE])
    return found


async def _read_some(connection: Connection, runs: list[Row]) -> list[StoredRun]:
    keys = ([key for key, _ in runs],)
    events, cursors, gaps = await run_together(connection, (_EVENTS, keys), (CURSORS, keys), (GAPS, keys))
    events_of = {run: [row[1:] for row in rows] for run, rows in groupby(events, itemgetter(0))}
    cursors_of: dict[int, dict[str, int]] = {
        run: dict(row[1:] for row in rows) for run, rows in groupby(cursors, itemgetter(0))
    }
    gap_of = {run: describe_gap(last, found) for run, last, found in gaps}
    return [_make(run, events_of.get(key, []), cursors_of.get(key, {}), gap_of[key]) for key, run in runs]


def _make(run: str, rows: list[Row], cursors: dict[str, int], damage: str) -> StoredRun:
    events: list[StoredEvent] = []
    try:
        for event in decode_events(rows):
            events.append(event)  # noqa: PERF402 (one by one, to keep those before the one that cannot be read)
    except UndecodableEventError as error:
        damage = str(error)
    return StoredRun(run, tuple(events), cursors, damage or find_wrong_cursor(cursors))


def describe_gap(last: int, found: int) -> str:
    """Returns how many positions of a run are missing, as a text; empty where it is whole."""
    return "" if found == last else f"journal and chunks hold {found} rows where the last position is {last}"
