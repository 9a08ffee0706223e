"""Deletes settled runs: hides them in one durable transaction, then removes them from the disk, a slice at a time.

A reader sees a run whole or not at all, also after a kill between any two slices: a marked run stays marked, and its removal goes
on. A slice is small, because the engine's transactions wait behind it on the writer's thread. `conductor.maintenance.retention`
decides which runs are deleted.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from conductor.errors import RequestIdReusedError
from conductor.store.records import Deletion
from conductor.store.refusals import run_is_active, run_is_part_of
from conductor.store.rows.deletion import DELETIONS_REMEMBERED, SLICE_BLOBS, SLICE_BLOCKS, SLICE_BYTES, SLICE_ROWS
from conductor.store.sqlite.reading.runs import not_found

SLICE_PAGES = 256  # returned to the disk at once: 1 MiB
FREE_PAGES_KEPT = 1024  # the next runs use them

_FORGET = "DELETE FROM deletions WHERE run IN (SELECT run FROM deletions ORDER BY time DESC LIMIT -1 OFFSET ?)"

_Slice = Callable[[sqlite3.Connection, int], bool]


def mark_deleted(connection: sqlite3.Connection, deletion: Deletion) -> None:
    """Hides a run; the same request may come again.

    PreconditionError while the run is active; NotFoundError where there is none, or another request deleted it;
    RequestIdReusedError where the request's id asked for something else.
    """
    connection.execute("PRAGMA synchronous = FULL").fetchall()
    with _transaction(connection):
        found = "SELECT key, end_time, root FROM runs WHERE run = ? AND delete_time IS NULL"
        row = connection.execute(found, (deletion.run,)).fetchone()
        if row is None:
            if _is_repeated(connection, deletion):
                return
            _refuse_used_id(connection, deletion)
            raise not_found(connection, deletion.run)
        _refuse_used_id(connection, deletion)
        key, end_time, root = row
        if root:
            raise run_is_part_of(deletion.run, root)
        if end_time is None or _has_active_part(connection, deletion.run):
            raise run_is_active(deletion.run)
        hide = "UPDATE runs SET delete_time = ?1 WHERE key = ?2 OR (root <> '' AND root = ?3)"
        connection.execute(hide, (deletion.time, key, deletion.run))
        _remember(connection, deletion, key)


def list_deleted(connection: sqlite3.Connection) -> list[str]:
    """Returns the runs that are hidden and still on the disk."""
    query = "SELECT run FROM runs WHERE delete_time IS NOT NULL ORDER BY key LIMIT ?"
    return [row[0] for row in connection.execute(query, (SLICE_ROWS,)).fetchall()]


def purge(connection: sqlite3.Connection, run: str) -> bool:
    """Removes a slice of a deleted run; returns whether more may be left."""
    # What a crash undoes is done again; the mark was durable.
    connection.execute("PRAGMA synchronous = NORMAL").fetchall()
    with _transaction(connection):
        query = "SELECT key FROM runs WHERE run = ? AND delete_time IS NOT NULL"
        row = connection.execute(query, (run,)).fetchone()
        if row is None:
            return False
        slices: tuple[_Slice, ...] = (_purge_chunks, _purge_blocks, _purge_events, _purge_findings, _purge_blobs)
        if not any(purge_slice(connection, row[0]) for purge_slice in slices):
            connection.execute("DELETE FROM runs WHERE key = ?", (row[0],))  # attempts and finders go with it
            return False
    return True


def shrink(connection: sqlite3.Connection) -> bool:
    """Returns a slice of the unused room to the disk; says whether more is left."""
    free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    if free <= FREE_PAGES_KEPT + SLICE_PAGES:
        return False
    # A script: the statement frees one page with each step, and has no rows to fetch.
    connection.executescript(f"PRAGMA incremental_vacuum({SLICE_PAGES})")
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0]) < free


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _has_active_part(connection: sqlite3.Connection, run: str) -> bool:
    query = "SELECT 1 FROM runs WHERE root <> '' AND root = ? AND end_time IS NULL LIMIT 1"
    return connection.execute(query, (run,)).fetchone() is not None


def _remember(connection: sqlite3.Connection, deletion: Deletion, key: int) -> None:
    """Keeps when and why the run was deleted, and its request ids, so that nothing runs twice (B2)."""
    connection.execute("UPDATE meta SET last_id = last_id + 1")
    connection.execute(
        "INSERT OR REPLACE INTO deletions (run, time, request_id, why, id, flow, labels)"
        " SELECT ?, ?, ?, ?, last_id, flow, labels FROM meta, runs WHERE key = ?",
        (deletion.run, deletion.time, deletion.request_id, deletion.why, key),
    )
    spent = (
        "INSERT INTO spent_requests (request_id, digest, run) SELECT request_id, digest, ? FROM requests WHERE run = ?"
    )
    connection.execute(spent, (deletion.run, key))
    connection.execute("DELETE FROM requests WHERE run = ?", (key,))
    connection.execute(_FORGET, (DELETIONS_REMEMBERED,))  # the spent requests of those go with them


def _is_repeated(connection: sqlite3.Connection, deletion: Deletion) -> bool:
    row = connection.execute("SELECT request_id FROM deletions WHERE run = ?", (deletion.run,)).fetchone()
    return bool(deletion.request_id) and row is not None and row[0] == deletion.request_id


def _refuse_used_id(connection: sqlite3.Connection, deletion: Deletion) -> None:
    """Raises RequestIdReusedError for an id that asked for something else: another deletion, a run, or the end of one."""
    if not deletion.request_id:
        return
    used = (
        "SELECT 1 FROM requests WHERE request_id = ?1 UNION ALL SELECT 1 FROM spent_requests WHERE request_id = ?1"
        " UNION ALL SELECT 1 FROM deletions WHERE request_id = ?1 LIMIT 1"
    )
    if connection.execute(used, (deletion.request_id,)).fetchone():
        raise RequestIdReusedError


def _purge_chunks(connection: sqlite3.Connection, run: int) -> bool:
    return _purge_by_position(connection, run, "chunks", "text")


def _purge_blocks(connection: sqlite3.Connection, run: int) -> bool:
    query = "DELETE FROM blocks WHERE key IN (SELECT key FROM blocks WHERE run = ? LIMIT ?)"  # strips go with them
    return connection.execute(query, (run, SLICE_BLOCKS)).rowcount > 0


def _purge_events(connection: sqlite3.Connection, run: int) -> bool:
    return _purge_by_position(connection, run, "journal", "data")


def _purge_by_position(connection: sqlite3.Connection, run: int, table: str, column: str) -> bool:
    query = f"SELECT position, length({column}) FROM {table} WHERE run = ? ORDER BY position LIMIT ?"  # noqa: S608
    last, used = None, 0
    for position, size in connection.execute(query, (run, SLICE_ROWS)).fetchall():
        last, used = position, used + size
        if used > SLICE_BYTES:
            break
    connection.execute(f"DELETE FROM {table} WHERE run = ? AND position <= ?", (run, last))  # noqa: S608
    return last is not None


def _purge_findings(connection: sqlite3.Connection, run: int) -> bool:
    query = "DELETE FROM findings WHERE key IN (SELECT key FROM findings WHERE run = ? LIMIT ?)"
    return connection.execute(query, (run, SLICE_ROWS)).rowcount > 0


def _purge_blobs(connection: sqlite3.Connection, run: int) -> bool:
    """Unlinks the run's blobs, and deletes those that no other run links."""
    query = "SELECT digest FROM run_blobs WHERE run = ? LIMIT ?"
    digests = connection.execute(query, (run, SLICE_BLOBS)).fetchall()
    connection.executemany("DELETE FROM run_blobs WHERE run = ? AND digest = ?", [(run, *digest) for digest in digests])
    unused = "DELETE FROM blobs WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM run_blobs WHERE digest = ?1)"
    connection.executemany(unused, digests)
    return bool(digests)
