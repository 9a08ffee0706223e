"""Lists of runs and of findings: pages by key, never by offset, so that a page stays the same while rows arrive.

A page reads at most SCANNED_RUNS rows, with any filter: a filter that matches little returns a short page, even an empty one,
which says where the next begins.
"""

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing

from conductor.store.port import LISTED_QUESTION, PAGE_ROWS
from conductor.store.records import FindingKey, FindingPage, RunFilter, RunKey, RunPage, RunRow
from conductor.store.rows.conditions import Condition, index_conditions, join_conditions, row_conditions
from conductor.store.rows.listing import LONG_PLAN, SCANNED_RUNS, take_findings, take_run, take_runs

# Damaged labels match nothing, and must not fail the page.
_HAS_LABEL = """
EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(r.labels) THEN r.labels ELSE '{}' END) WHERE key = ? AND value = ?)
"""

_PLAN = f"""
CASE WHEN length(r.plan) > {LONG_PLAN} AND json_valid(r.plan)
  THEN json_set(r.plan, '$.question', substr(json_extract(r.plan, '$.question'), 1, {LISTED_QUESTION})) ELSE r.plan END
"""

_RUNS = """
SELECT r.run, r.state, r.create_time, r.start_time, r.end_time, CAST({plan} AS BLOB), CAST(r.failure AS BLOB),
  r.verified, r.moved, r.missing, 0, (SELECT count(*) FROM findings f WHERE f.run = r.key AND f.status = 'placed'),
  r.last_position
FROM runs r
WHERE r.delete_time IS NULL AND {where} ORDER BY r.create_time DESC, r.run DESC LIMIT ?
"""

# Answered by an index alone; no row is read.
_LAST_SCANNED = """
SELECT r.create_time, r.run FROM runs r WHERE {where} ORDER BY r.create_time DESC, r.run DESC LIMIT 1 OFFSET ?
"""


def list_runs(connection: sqlite3.Connection, wanted: RunFilter, page_size: int, before: RunKey | None) -> RunPage:
    """Returns the newest runs below `before` that match the filter."""
    size = max(1, min(page_size, PAGE_ROWS))
    by_index = index_conditions(wanted, before)
    where, values = join_conditions(by_index)
    scanned = connection.execute(_LAST_SCANNED.format(where=where), (*values, SCANNED_RUNS - 1)).fetchone()
    down_to = [] if scanned is None else [("(r.create_time, r.run) >= (?, ?)", (*scanned,))]
    where, values = join_conditions([*by_index, *down_to, *_row_conditions(wanted)])
    with closing(connection.execute(_RUNS.format(where=where, plan=_PLAN), (*values, size + 1))) as cursor:
        page = take_runs(cursor, size)
    return RunPage(page.rows, RunKey(*scanned)) if page.next is None and scanned is not None else page


def read_run(connection: sqlite3.Connection, run: str) -> RunRow | None:
    """Returns a run's row of the list; None where there is no such run. DatabaseDamagedError: the row cannot be read."""
    row = connection.execute(_RUNS.format(where="r.run = ?", plan=_PLAN), (run, 1)).fetchone()
    return None if row is None else take_run(row)


def list_findings(
    connection: sqlite3.Connection,
    run: int,
    *,
    max_rank: int,
    statuses: Collection[str],
    page_size: int,
    after: FindingKey | None,
) -> FindingPage:
    """Returns the findings that count, most severe first."""
    size = max(1, min(page_size, PAGE_ROWS))
    start = after or FindingKey(-1, 0)
    rows = connection.execute(
        "SELECT key, step, finding, rank, status, data FROM findings"
        " WHERE run = ?1 AND (rank, key) > (?2, ?3) AND rank <= ?4"
        " AND (?5 = '[]' OR status IN (SELECT value FROM json_each(?5))) ORDER BY rank, key LIMIT ?6",
        (run, start.rank, start.key, max_rank, json.dumps(sorted(statuses)), size + 1),
    ).fetchall()
    return take_findings(rows, size)


def _row_conditions(wanted: RunFilter) -> list[Condition]:
    """Returns the conditions that only the rows answer."""
    conditions = row_conditions(wanted)
    if wanted.text:
        conditions.append(("instr(r.question, ?) > 0", (wanted.text.casefold(),)))
    conditions.extend((_HAS_LABEL, label) for label in wanted.labels.items())
    return conditions
