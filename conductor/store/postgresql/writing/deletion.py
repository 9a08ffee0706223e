"""Deletes settled runs: hides them in one durable transaction, then removes them, a slice at a time.

A reader sees a run whole or not at all, also after a kill between any two slices: a marked run stays marked, and its removal goes
on. A slice is small, because the engine's transactions wait behind it. `conductor.maintenance.retention` decides which runs are
deleted.
"""

from conductor.errors import RequestIdReusedError
from conductor.store.postgresql.pipeline import Connection, Row, Statement, ask
from conductor.store.postgresql.reading.runs import finding, key_of
from conductor.store.postgresql.writer import Writer
from conductor.store.records import Deletion
from conductor.store.refusals import run_is_active, run_is_part_of
from conductor.store.rows.deletion import DELETIONS_REMEMBERED, SLICE_BLOBS, SLICE_BLOCKS, SLICE_BYTES, SLICE_ROWS

_FIND = "SELECT key, end_time, root FROM runs WHERE run = %s AND delete_time IS NULL"
_FOUND_DELETION = "SELECT request_id FROM deletions WHERE run = %s"
_USED = """
SELECT 1 FROM requests WHERE request_id = %s UNION ALL SELECT 1 FROM spent_requests WHERE request_id = %s
UNION ALL SELECT 1 FROM deletions WHERE request_id = %s LIMIT 1
"""
_ACTIVE_PART = "SELECT 1 FROM runs WHERE root <> '' AND root = %s AND end_time IS NULL LIMIT 1"
_HIDE = "UPDATE runs SET delete_time = %s WHERE key = %s OR (root <> '' AND root = %s)"
_REMEMBER = (
    "INSERT INTO deletions (run, time, request_id, why, id, flow, labels)"
    " SELECT %s, %s, %s, %s, %s, flow, labels FROM runs WHERE key = %s ON CONFLICT (run) DO UPDATE SET time = excluded.time,"
    " request_id = excluded.request_id, why = excluded.why, id = excluded.id, flow = excluded.flow, labels = excluded.labels"
)
_SPEND = (
    "INSERT INTO spent_requests (request_id, digest, run) SELECT request_id, digest, %s FROM requests WHERE run = %s"
)
_FORGET = "DELETE FROM deletions WHERE run IN (SELECT run FROM deletions ORDER BY time DESC OFFSET %s)"

_DELETED = "SELECT run FROM runs WHERE delete_time IS NOT NULL ORDER BY key LIMIT %s"
_SIZES = "SELECT position, octet_length({column}) FROM {table} WHERE run = %s ORDER BY position LIMIT %s"
_CUT = "DELETE FROM {table} WHERE run = %s AND position <= %s"
_BLOCKS = "SELECT key FROM blocks WHERE run = %s LIMIT %s"
_FINDINGS = "SELECT key FROM findings WHERE run = %s LIMIT %s"
_LINKS = "SELECT digest FROM run_blobs WHERE run = %s LIMIT %s"
_UNUSED = (
    "DELETE FROM blobs b WHERE digest = ANY(%s) AND NOT EXISTS (SELECT 1 FROM run_blobs l WHERE l.digest = b.digest)"
)


async def mark_deleted(writer: Writer, deletion: Deletion) -> None:
    """Hides a run; the same request may come again.

    PreconditionError while the run is active; NotFoundError where there is none, or another request deleted it;
    RequestIdReusedError where the request's id asked for something else.
    """
    found = await writer.ask(_FIND, deletion.run)
    if not found:
        if await _is_repeated(writer, deletion):
            return
        await _refuse_used_id(writer, deletion)
        key_of(deletion.run, (await writer.ask_together(finding(deletion.run)))[0])
        return
    await _refuse_used_id(writer, deletion)
    key, end_time, root = found[0]
    if root:
        raise run_is_part_of(deletion.run, root)
    if end_time is None or await writer.ask(_ACTIVE_PART, deletion.run):
        raise run_is_active(deletion.run)
    last_id = writer.last_id + 1
    remembered = (deletion.run, deletion.time, deletion.request_id, deletion.why, last_id, key)
    statements: list[Statement] = [
        (_HIDE, (deletion.time, key, deletion.run)),
        (_REMEMBER, remembered),
        (_SPEND, (deletion.run, key)),
        ("DELETE FROM requests WHERE run = %s", (key,)),
        (_FORGET, (DELETIONS_REMEMBERED,)),  # the spent requests of those go with them
    ]
    await writer.store(statements, last_id=last_id, is_durable=True)


async def list_deleted(connection: Connection) -> list[str]:
    """Returns the runs that are hidden and not removed yet."""
    return [run for (run,) in await ask(connection, _DELETED, SLICE_ROWS)]


async def purge(writer: Writer, run: str) -> bool:
    """Removes a slice of a deleted run; returns whether more may be left."""
    found = await writer.ask("SELECT key FROM runs WHERE run = %s AND delete_time IS NOT NULL", run)
    if not found:
        return False
    key = int(found[0][0])
    statements = await _make_slice(writer, key)
    # What a crash undoes is done again; the mark was durable. Attempts and finders go with their run.
    last: list[Statement] = [("DELETE FROM runs WHERE key = %s", (key,))]
    await writer.store(statements or last, is_durable=False)
    return bool(statements)


async def _make_slice(writer: Writer, run: int) -> list[Statement]:
    """Returns what removes the next piece of a run; empty where only its row is left."""
    for table, column in (("chunks", "text"), ("journal", "data")):
        rows = await writer.ask(_SIZES.format(table=table, column=column), run, SLICE_ROWS)
        if rows:
            return [(_CUT.format(table=table), (run, _last_of_slice(rows)))]
    if rows := await writer.ask(_BLOCKS, run, SLICE_BLOCKS):  # strips go with them
        return [("DELETE FROM blocks WHERE key = ANY(%s)", ([key for (key,) in rows],))]
    if rows := await writer.ask(_FINDINGS, run, SLICE_ROWS):
        return [("DELETE FROM findings WHERE run = %s AND key = ANY(%s)", (run, [key for (key,) in rows]))]
    if rows := await writer.ask(_LINKS, run, SLICE_BLOBS):
        digests = [digest for (digest,) in rows]
        unlink = "DELETE FROM run_blobs WHERE run = %s AND digest = ANY(%s)"
        return [(unlink, (run, digests)), (_UNUSED, (digests,))]
    return []


def _last_of_slice(rows: list[Row]) -> int:
    """Returns the position up to which a slice reaches: at least one row, about SLICE_BYTES."""
    used = 0
    for position, size in rows:
        used += size
        if used > SLICE_BYTES:
            return int(position)
    return int(rows[-1][0])


async def _is_repeated(writer: Writer, deletion: Deletion) -> bool:
    rows = await writer.ask(_FOUND_DELETION, deletion.run)
    return bool(deletion.request_id) and bool(rows) and rows[0][0] == deletion.request_id


async def _refuse_used_id(writer: Writer, deletion: Deletion) -> None:
    """Raises RequestIdReusedError for an id that asked for something else: another deletion, a run, or the end of one."""
    if deletion.request_id and await writer.ask(_USED, *[deletion.request_id] * 3):
        raise RequestIdReusedError
