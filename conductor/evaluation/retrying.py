"""Reads that are tried again: store, snapshots or this process may be in trouble for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

from conductor.errors import StatusError

log = structlog.get_logger(__name__)

READ_PAUSES_SECONDS = (0.5, 1.0)
# This process may lack descriptors or memory for a while. An agent whose result is stored must not run again for that.
SHORTAGE_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def retried(read: Callable[Arguments, Awaitable[Result]]) -> Callable[Arguments, Awaitable[Result]]:
    """Has a read tried again after a pause when it fails."""

    @wraps(read)
    async def reading(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        failures = 0
        while True:
            try:
                return await read(*args, **kwargs)
            except (StatusError, OSError) as error:
                pauses = SHORTAGE_PAUSES_SECONDS if isinstance(error, OSError) else READ_PAUSES_SECONDS
                if failures >= len(pauses):
                    raise
                log.warning("evaluation_read_failed", error=str(error), attempt=failures + 1)
                await asyncio.sleep(pauses[failures])
                failures += 1

    return reading
