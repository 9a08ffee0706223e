"""Makes the lists of one run again from its journal, in a database in memory: proof that the journal is the truth.

The statements are those with which the embedded store keeps its lists.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Self

from conductor.core.model.events.run_events import RunCreated
from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.rows.projection import find_document
from conductor.store.rows.tables import FINDERS, FINDINGS, JOURNAL, REQUESTS, RUNS, Row, Table
from conductor.store.sqlite.upkeep.migration import Schema
from conductor.store.sqlite.writing.projection import create_run, drop_merged, project

LISTS = (RUNS, REQUESTS, FINDERS, FINDINGS)
_JOURNAL = "INSERT INTO journal (id, run, position, time, type, key, data) VALUES (?, ?, ?, ?, ?, ?, ?)"


class ListRebuilder:
    """A database in memory, for one run after the other."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.executescript(Schema().script.read_text())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def find_documents(self, journal: Sequence[Row]) -> list[str]:
        """Returns the digests of the findings that a run's events name. UndecodableEventError: a row is damaged."""
        return [digest for row in journal if (digest := find_document(decode_event(str(row[4]), str(row[6]))))]

    def rebuild(self, journal: Sequence[Row], documents: Mapping[str, bytes]) -> dict[Table, list[Row]]:
        """Returns the rows of each list, of a run with these rows of `journal`."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            self._apply(journal, documents)
            return {table: self._read(table) for table in LISTS}
        finally:
            connection.rollback()

    def _apply(self, journal: Sequence[Row], documents: Mapping[str, bytes]) -> None:
        connection, run, has_findings = self._connection, 0, False
        for row in journal:
            event, time = decode_event(str(row[4]), str(row[6])), float(row[3] or 0)
            if isinstance(event, RunCreated):
                run = int(row[1] or 0)
                created = create_run(connection, event, time)
                connection.execute("UPDATE runs SET key = ? WHERE key = ?", (run, created))
            if not run:
                raise UndecodableEventError("its first event is not that it was created")
            connection.execute(_JOURNAL, row)
            project(connection, run, event, time, lambda digest: documents.get(digest, b""))
            has_findings = has_findings or bool(find_document(event))
        if has_findings:
            drop_merged(connection, run)

    def _read(self, table: Table) -> list[Row]:
        query = f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {', '.join(table.key)}"  # noqa: S608
        return self._connection.execute(query).fetchall()


__all__ = ["JOURNAL", "LISTS", "ListRebuilder"]
