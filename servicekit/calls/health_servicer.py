"""Health of a server by grpc.health.v1: SERVING, then NOT_SERVING, which every watcher hears before its call ends.

(The servicer of grpcio-health-checking tells its watchers one after another under a lock, and cannot tell when all have heard.)
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.errors import RequestError

# For watchers to hear of the end; one that does not read misses it.
TELL_SECONDS = 0.5

_Answer: Any = health_pb2.HealthCheckResponse


class ServiceUnknownError(RequestError):
    """This server has no service of that name."""

    code = "NOT_FOUND"
    reason = "SERVICE_UNKNOWN"


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # shipped without types
    """Answers for the whole server, whose name is empty, and for each of its services, whose names `services` returns."""

    def __init__(self, services: Callable[[], Collection[str]]) -> None:
        self._services = services
        self._is_stopping = asyncio.Event()
        self._untold = 0  # watchers that have not heard of the end
        self._told = asyncio.Event()

    async def tell_stopping(self) -> None:
        """Says NOT_SERVING from now on; returns when all watchers have heard it, or after a moment."""
        self._is_stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                while self._untold:
                    self._told.clear()
                    await self._told.wait()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:
        if not self._knows(request.service):
            raise ServiceUnknownError(f"this server has no service '{request.service}'")
        return self._answer(request.service)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> AsyncIterator[Any]:
        self._untold += 1
        try:
            answer = self._answer(request.service)
            yield answer
            await self._is_stopping.wait()
            if answer.status == _Answer.SERVING:
                yield self._answer(request.service)
        finally:
            self._untold -= 1
            self._told.set()
        await asyncio.Event().wait()  # the server ends the call

    def _answer(self, service: str) -> Any:
        if not self._knows(service):
            return _Answer(status=_Answer.SERVICE_UNKNOWN)
        return _Answer(status=_Answer.NOT_SERVING if self._is_stopping.is_set() else _Answer.SERVING)

    def _knows(self, service: str) -> bool:
        return not service or service in self._services()
