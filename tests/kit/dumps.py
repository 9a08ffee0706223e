"""The rows of a conductor's schema in PostgreSQL as text, to be restored into an empty database."""

from dataclasses import dataclass
from typing import Any, Self

import psycopg

_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'conductor'::regnamespace ORDER BY relname"
)


@dataclass(frozen=True)
class Dump:
    """The script that made a schema, and the rows of each table in the text form of COPY."""

    script: str
    rows: dict[str, str]

    @classmethod
    def take(cls, url: str, script: str) -> Self:
        """Reads what is stored now, as a process that is killed now leaves it."""
        with psycopg.connect(url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            names = [str(name) for (name,) in connection.execute(_TABLES).fetchall()]
            return cls(script, {name: _copy_out(connection, name) for name in names})

    @classmethod
    def read(cls, kept: dict[str, Any]) -> Self:
        """Reads what `asdict` made of one."""
        return cls(kept["script"], kept["rows"])

    def restore(self, url: str) -> None:
        """Makes the schema in an empty database, with its rows."""
        with psycopg.connect(url) as connection:
            connection.execute("CREATE SCHEMA conductor; SET search_path = conductor")
            connection.execute(self.script.encode())
            connection.execute("SET session_replication_role = replica")  # references are not checked meanwhile
            for table, text in self.rows.items():
                with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as rows:
                    rows.write(text)
            connection.execute("DELETE FROM place")  # the copy stands for the database itself


def _copy_out(connection: "psycopg.Connection[Any]", table: str) -> str:
    with connection.cursor().copy(f"COPY conductor.{table} TO STDOUT".encode()) as rows:
        return b"".join(rows).decode()
