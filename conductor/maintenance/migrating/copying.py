"""Copies tables from one store to another by key, and compares what is there afterwards.

What was copied before a kill is not copied again: the target's greatest key says where to go on.
"""

from collections.abc import AsyncIterator, Callable

from conductor.errors import MigrationError
from conductor.store.raw import RawStore
from conductor.store.rows.tables import TABLES, Row, Table

Tell = Callable[[str, int], None]


async def copy_tables(source: RawStore, target: RawStore, tell: Tell) -> None:
    """Copies every row; tells table and rows so far."""
    for table in TABLES:
        count = await target.count(table)
        async for page in pages(source, table, await target.last_key(table)):
            await target.add(table, page)
            count += len(page)
            tell(table.name, count)


async def compare_tables(
    source: RawStore, target: RawStore, compared: Callable[[Table, Row], object]
) -> dict[str, int]:
    """Raises MigrationError unless both have the same rows; returns how many each table has.

    `compared` returns what of a row must be equal.
    """
    counts = {}
    for table in TABLES:
        counts[table.name] = 0
        there = rows(target, table)
        async for row in rows(source, table):
            other = await anext(there, None)
            if other is None or compared(table, row) != compared(table, other):
                raise _differs(table, row)
            counts[table.name] += 1
        if (more := await anext(there, None)) is not None:
            raise _differs(table, more)
    return counts


async def pages(store: RawStore, table: Table, after: Row | None = None) -> AsyncIterator[list[Row]]:
    """Yields the pages of a table."""
    while page := await store.page(table, after):
        yield page
        after = table.key_of(page[-1])


async def rows(store: RawStore, table: Table) -> AsyncIterator[Row]:
    """Yields the rows of a table."""
    async for page in pages(store, table):
        for row in page:
            yield row


def _differs(table: Table, row: Row) -> MigrationError:
    key = ", ".join(f"{name} {value!r}" for name, value in zip(table.key, table.key_of(row), strict=True))
    text = f"the copy of table '{table.name}' differs from its source at {key}; nothing was switched over"
    return MigrationError(text, hint="does another program write to one of them? Empty the target and migrate again")
