"""Wakes everybody who waits for a change. Listen first, look then, wait last: so no ring is missed."""

import asyncio


class Bell:
    """Rung on every change; it does not say which."""

    def __init__(self) -> None:
        self._next: asyncio.Event | None = None

    def ring(self) -> None:
        """Wakes all who listen."""
        if self._next is not None:
            self._next.set()
            self._next = None

    def listen(self) -> asyncio.Event:
        """The next ring: take it before looking at what may change, and `wait` on it afterwards."""
        if self._next is None:
            self._next = asyncio.Event()
        return self._next
