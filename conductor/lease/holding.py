"""Ends the tenure when its connection to the database is lost, also while the engine has nothing to store.

Without it a caller would hear of the loss, again and again, and the engine would not: it would go on with nothing to do.
"""

from conductor.store.shared import SharedStore


class Holding:
    """A part of the tenure."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    async def run(self) -> None:
        """Works until it is cancelled, or raises StoreLostError."""
        await self._store.hold()
