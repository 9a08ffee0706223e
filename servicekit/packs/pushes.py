"""Shares the few places for pushed snapshots among callers, with a clock over each whole push.

The clock counts only how long this service waited for the caller, never its own work. Every byte buys time, so a push that says
a little now and then ends all the same. When all places are taken, a slow push gives its place to the next caller.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from servicekit.errors import NoCapacityError, StatusError

MAX_PUSHES = 4
MAX_PUSHES_PER_CALLER = 2
HEADER_SECONDS = 20.0
SILENCE_SECONDS = 60.0
# A push may let this service wait so long in all, and a second more for so many bytes.
WAIT_SECONDS = 60.0
LEAST_BYTES_PER_SECOND = 16 * 1024
# A push that is slower than this, after a moment, gives way where others wait.
GIVES_WAY_SECONDS = 5.0
GIVES_WAY_BYTES_PER_SECOND = 64 * 1024
FASTER = "push again over a faster connection"


class Push:
    """Counts what one push has brought, and how long this service waited for it."""

    def __init__(self, caller: str = "") -> None:
        self.caller = caller
        self._received_bytes = 0
        self._waited_seconds = 0.0
        self._waits_since: float | None = None
        self._clock: asyncio.Timeout | None = None
        self._displacing: StatusError | None = None

    async def next(self, requests: AsyncIterator[Any]) -> Any | None:
        """Reads the next message; None at the end. A timeout ends the call: gRPC reads no further after a read was cancelled."""
        limit = 0.0 if self._displacing else min(SILENCE_SECONDS, self._left_seconds())
        try:
            with self._waiting():
                async with asyncio.timeout(limit) as self._clock:
                    return await anext(requests, None)
        except TimeoutError as error:
            if self._displacing is not None:
                raise self._displacing from error
            why = f"brought {self._received_bytes} bytes in {self._waited_seconds:.0f} s, and others wait"
            raise NoCapacityError(f"the push {why}", hint=FASTER) from error

    def count(self, size: int) -> None:
        """Counts bytes that came."""
        self._received_bytes += size

    @property
    def bytes_per_second(self) -> float:
        """Returns how fast it brings bytes while this service waits for it."""
        return self._received_bytes / max(self._waited(), 0.001)

    @property
    def gives_way(self) -> bool:
        """Returns whether it is slow while this service waits for it."""
        is_waiting = self._waits_since is not None and self._displacing is None
        return is_waiting and self._waited() > GIVES_WAY_SECONDS and self.bytes_per_second < GIVES_WAY_BYTES_PER_SECOND

    def displace(self, error: StatusError) -> None:
        """Ends it with an error as soon as it waits for its caller, because another one takes its place."""
        self._displacing = error
        if self._waits_since is not None and self._clock is not None:
            self._clock.reschedule(asyncio.get_running_loop().time())

    def _left_seconds(self) -> float:
        return WAIT_SECONDS + self._received_bytes / LEAST_BYTES_PER_SECOND - self._waited_seconds

    def _waited(self) -> float:
        since = self._waits_since
        return self._waited_seconds + (time.monotonic() - since if since is not None else 0.0)

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waits_since = time.monotonic()
        try:
            yield
        finally:
            self._waited_seconds, self._waits_since = self._waited(), None


class Pushes:
    """Gives places to pushes."""

    def __init__(self) -> None:
        self._taken: list[Push] = []

    @contextlib.asynccontextmanager
    async def place(self, push: Push) -> AsyncIterator[None]:
        """Holds a place for a push; raises NoCapacityError where there is none for it."""
        own = sum(other.caller == push.caller for other in self._taken)
        if push.caller and own >= MAX_PUSHES_PER_CALLER:
            raise NoCapacityError(f"this caller pushes {own} snapshots already, the most at once")
        if len(self._taken) >= MAX_PUSHES:
            self._displace_one()
        self._taken.append(push)
        try:
            yield
        finally:
            if push in self._taken:
                self._taken.remove(push)

    def _displace_one(self) -> None:
        slow = [push for push in self._taken if push.gives_way]
        if not slow:
            raise NoCapacityError(f"{MAX_PUSHES} snapshots are being pushed already, the most at once")
        slowest = min(slow, key=lambda push: push.bytes_per_second)
        slowest.displace(NoCapacityError("the push was the slowest, and others wait", hint=FASTER))
        self._taken.remove(slowest)
