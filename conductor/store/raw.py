"""A store as rows, with no other process at work on it: what a migration reads, and what it fills.

The engines implement it beside their stores. It is opened with the lock, or the lease, that a conductor would need.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from conductor.errors import MigrationError
from conductor.store.rows.tables import Row, Table, Value


@dataclass(frozen=True, slots=True)
class Move:
    """What `meta.moved` says: this store went to another place, or comes from there and is not whole yet.

    `conductor_id` and `epoch` are those of the source when its rows were copied.
    """

    place: str
    conductor_id: str
    epoch: int
    is_arriving: bool = False

    def encode(self) -> str:
        """Returns the text of the column."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> "Move | None":
        """Reads the column; None where it is empty."""
        return cls(**json.loads(text)) if text else None


@dataclass(frozen=True, slots=True)
class Standing:
    """The row of `meta`. `move` is None for a store that is served from where it is."""

    conductor_id: str
    epoch: int
    last_id: int
    move: Move | None = None


class RawStore(Protocol):
    """Every call is one transaction."""

    @property
    def place(self) -> str:
        """The store's place for people; no secret."""

    async def standing(self) -> Standing | None:
        """Returns the standing; None where there is no store yet."""

    async def page(self, table: Table, after: Row | None) -> list[Row]:
        """Returns the rows after a key, in the order of keys; at most a page of the table."""

    async def matching(self, table: Table, column: str, value: Value) -> list[Row]:
        """Returns all rows with a value in a column, in the order of keys."""

    async def last_key(self, table: Table) -> Row | None:
        """Returns the greatest key; None where the table is empty."""

    async def count(self, table: Table) -> int:
        """Returns the number of rows."""

    async def begin(self, move: Move) -> None:
        """Makes an empty store that is arriving, in the place of what was there."""

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Adds rows."""

    async def finish(self, standing: Standing) -> None:
        """Makes an arriving store one that can be served; durable."""

    async def leave(self, move: Move) -> None:
        """Marks the store as moved; durable."""

    async def close(self) -> None:
        """Gives the lock, or the lease, back."""


def row_refused(table: Table, why: object, row: Row | None = None) -> MigrationError:
    """Returns the error for a row that no sound store holds, so that the target cannot take it."""
    at = "" if row is None else f" at {', '.join(map(repr, table.key_of(row)))}"
    text = f"a row of table '{table.name}'{at} is damaged, and cannot be copied: {str(why).partition(chr(10))[0]}"
    return MigrationError(text, hint="conductor doctor looks for damage; delete that run, or restore a backup")
