"""Wakes everybody who waits for a change. Listen first, look then, wait last: so no ring is missed."""

import asyncio


class Bell:
    """Rung on every change; it does not say which."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Wakes all who listen."""
        self._next.set()
        self._next = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """The next ring: take it before looking at what may change, and `wait` on it afterwards."""
        return self._next
