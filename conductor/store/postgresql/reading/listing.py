"""Lists of runs and of findings: pages by key, never by offset, so that a page stays the same while rows arrive.

A page reads at most SCANNED_RUNS rows, with any filter: a filter that matches little returns a short page, even an empty one,
which says where the next begins.
"""

import json
from collections.abc import Collection, Sequence

from conductor.store.port import PAGE_ROWS
from conductor.store.postgresql.pipeline import Connection, Row, ask, run_together
from conductor.store.postgresql.reading.runs import finding, key_of
from conductor.store.records import FindingKey, FindingPage, RunFilter, RunKey, RunPage, RunRow
from conductor.store.rows.conditions import Condition, index_conditions, join_conditions, row_conditions
from conductor.store.rows.listing import SCANNED_RUNS, take_findings, take_run, take_runs

_LAST_POSITION = """
greatest((SELECT coalesce(max(position), 0) FROM journal WHERE run = r.key),
  (SELECT coalesce(max(position), 0) FROM chunks WHERE run = r.key),
  (SELECT coalesce(max(position), 0) FROM blocks WHERE run = r.key))
"""
_RUNS = f"""
SELECT r.run, r.state, r.create_time, r.start_time, r.end_time, r.plan, r.failure, r.verified, r.moved, r.missing, 0,
  (SELECT count(*) FROM findings f WHERE f.run = r.key AND f.status = 'placed'), {_LAST_POSITION}
FROM (SELECT * FROM runs r WHERE r.delete_time IS NULL AND {{where}} ORDER BY r.create_time DESC, r.run DESC LIMIT ?) r
ORDER BY r.create_time DESC, r.run DESC
"""
# Answered by an index; no row is read as long as the server keeps its map of what is visible.
_LAST_SCANNED = """
SELECT r.create_time, r.run FROM runs r WHERE {where} ORDER BY r.create_time DESC, r.run DESC LIMIT 1 OFFSET ?
"""
_FINDINGS = """
SELECT key, step, finding, rank, status, data FROM findings
WHERE run = (SELECT key FROM runs WHERE run = %s AND delete_time IS NULL) AND (rank, key) > (%s, %s) AND rank <= %s
  AND (%s = 0 OR status = ANY(%s)) ORDER BY rank, key LIMIT %s
"""


async def list_runs(connection: Connection, wanted: RunFilter, page_size: int, before: RunKey | None) -> RunPage:
    """Returns the newest runs below `before` that match the filter."""
    size = max(1, min(page_size, PAGE_ROWS))
    by_index = index_conditions(wanted, before)
    scanned = await _ask(connection, _LAST_SCANNED, by_index, SCANNED_RUNS - 1)
    down_to = [("(r.create_time, r.run) >= (?, ?)", (*row,)) for row in scanned]
    rows = await _ask(connection, _RUNS, [*by_index, *down_to, *_row_conditions(wanted)], size + 1)
    page = take_runs(rows, size)
    return RunPage(page.rows, RunKey(*scanned[0])) if page.next is None and scanned else page


async def read_run(connection: Connection, run: str) -> RunRow:
    """Returns a run's row of the list."""
    query = _RUNS.format(where="r.run = ?").replace("?", "%s")
    rows, found = await run_together(connection, (query, (run, 1)), finding(run))
    key_of(run, found)
    return take_run(rows[0])


async def list_findings(
    connection: Connection,
    run: str,
    *,
    max_rank: int,
    statuses: Collection[str],
    page_size: int,
    after: FindingKey | None,
) -> FindingPage:
    """Returns the findings that count, most severe first."""
    size = max(1, min(page_size, PAGE_ROWS))
    start = after or FindingKey(-1, 0)
    values = (run, start.rank, start.key, max_rank, len(statuses), sorted(statuses), size + 1)
    found, rows = await run_together(connection, finding(run), (_FINDINGS, values))
    key_of(run, found)
    return take_findings(rows, size)


async def _ask(connection: Connection, query: str, conditions: Sequence[Condition], last: int) -> list[Row]:
    where, values = join_conditions(conditions)
    return await ask(connection, query.format(where=where).replace("?", "%s"), *values, last)


def _row_conditions(wanted: RunFilter) -> list[Condition]:
    """Returns the conditions that only the rows answer."""
    conditions = row_conditions(wanted)
    if wanted.text:
        text = wanted.text.casefold().encode("utf-8", "replace")
        conditions.append(("position(?::bytea in r.question) > 0", (text,)))
    if wanted.labels:
        pairs = [json.dumps(label) for label in wanted.labels.items()]
        conditions.append(("r.label_pairs @> ?::text[]", (pairs,)))
    return conditions
