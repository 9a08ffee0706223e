"""Attaches one stream at a time to an attempt; the newest wins.

A superseded stream ends before the newer one reads anything, because both would cut the spool into frames.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agenthost.system.change import Change


class Attachment:
    """A stream's hold on an attempt."""

    def __init__(self) -> None:
        self.superseded = asyncio.Event()
        self.released = asyncio.Event()
        # False when the client half-closed before the end: it may be gone, so the shim's lease is not renewed for it.
        self.is_heard = True


class Attachments:
    """Attaches streams to an attempt, one after the other."""

    def __init__(self) -> None:
        self._newest: Attachment | None = None
        self._change = Change()

    async def changed(self) -> None:
        """Waits until a stream comes or goes."""
        await self._change.subscribe().wait()

    @property
    def current(self) -> Attachment | None:
        """Returns the stream that is attached, or waits for the one before it to end."""
        return self._newest

    @asynccontextmanager
    async def attach(self) -> AsyncIterator[Attachment]:
        """Attaches a stream, after the former one was superseded and has ended."""
        attachment, before = Attachment(), self._newest
        self._newest = attachment
        try:
            if before:
                before.superseded.set()
                await before.released.wait()
            self._change.notify()
            yield attachment
        finally:
            if before and not before.released.is_set():
                # Cancelled while waiting: a stream that waits for this one must still wait for that one.
                await asyncio.shield(before.released.wait())
            attachment.released.set()
            if self._newest is attachment:
                self._newest = None
            self._change.notify()
