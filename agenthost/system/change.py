"""Wakes every task that waits for a change. Subscribe first, look then, wait last: so no change is missed."""

import asyncio


class Change:
    """Notifies its subscribers of every change; it does not say which."""

    def __init__(self) -> None:
        self._next: asyncio.Event | None = None

    def notify(self) -> None:
        """Wakes all subscribers."""
        if self._next is not None:
            self._next.set()
            self._next = None

    def subscribe(self) -> asyncio.Event:
        """Returns the event of the next change: take it before looking at what may change, and `wait` on it afterwards."""
        if self._next is None:
            self._next = asyncio.Event()
        return self._next
