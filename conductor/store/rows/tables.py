"""The tables as every engine has them, for a migration: it copies rows by key, without their meaning.

A row is a tuple of numbers, texts and bytes, in the order of `columns`. What one engine keeps beside these columns, it derives from
them. The order of the tables is that of their references.
"""

from dataclasses import dataclass

Value = int | float | str | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `page_rows` bounds what a page takes in memory."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    page_rows: int = 1000

    def key_of(self, row: Row) -> Row:
        """Returns the key of a row."""
        return tuple(row[self.columns.index(name)] for name in self.key)


def _table(name: str, key: str, columns: str, page_rows: int = 1000) -> Table:
    return Table(name, tuple(key.split()), tuple(columns.split()), page_rows)


RUNS = _table(
    "runs",
    "key",
    "key run state create_time start_time end_time flow workspace_path question labels plan inputs failure verified moved missing"
    " delete_time compacted_to root",
    200,
)
JOURNAL = _table("journal", "id", "id run position time type key data")
CHUNKS = _table("chunks", "id", "id run position time attempt channel end_byte text", 200)
BLOBS = _table("blobs", "digest", "digest data", 8)
REQUESTS = _table("requests", "request_id", "request_id digest run")
FINDERS = _table("finders", "run step", "run step verified moved missing")
FINDINGS = _table("findings", "run rank key", "run rank key step finding status data")

TABLES = (
    RUNS,
    _table("attempts", "key", "key attempt run step cursor"),
    JOURNAL,
    CHUNKS,
    _table("blocks", "key", "key run position first_position entries data", 50),
    _table("strips", "attempt channel end_byte", "attempt channel end_byte start_byte block number"),
    BLOBS,
    _table("run_blobs", "run digest", "run digest"),
    REQUESTS,
    _table("deletions", "run", "run time request_id why id flow labels"),
    _table("spent_requests", "request_id", "request_id digest run"),
    FINDERS,
    FINDINGS,
    _table("tokens", "digest", "digest name role create_time created_by use_time revoke_time revoked_by"),
    _table("hosts", "host", "host address drained_by drain_time"),
    _table("host_requests", "key", "key request_id digest host time"),
    _table("clock", "only", "only boot offset"),
)
