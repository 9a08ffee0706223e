"""A model server beside a test that blocks."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.model_server import ModelServer


class ServedModel:
    """A model server in a thread of its own, so that a test may block."""

    def __init__(self) -> None:
        self.model = ModelServer()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    async def _serve(self) -> None:
        async with ModelServer.serving() as self.model:
            self._ready.set()
            await self._over.wait()

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[ModelServer]:
        served = cls()
        served._thread.start()
        served._ready.wait()
        try:
            yield served.model
        finally:
            served._loop.call_soon_threadsafe(served._over.set)
            served._thread.join()
            served._loop.close()
