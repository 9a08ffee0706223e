"""Waits at a start for a database that is away: a server that starts at the same time, or is restarted, needs some seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from conductor.errors import DatabaseAwayError

PAUSE_SECONDS = 0.5

_log = structlog.get_logger(__name__)

Opened = TypeVar("Opened")


async def open_when_there(opening: Callable[[], Awaitable[Opened]], stop: asyncio.Event, seconds: float) -> Opened:
    """Opens a store; tries again while its server cannot be reached, until `stop` is set or the time is over: then it raises.

    What does not pass by itself, such as a wrong password, comes out at once.
    """
    until, has_told = time.monotonic() + seconds, False
    while True:
        try:
            return await opening()
        except DatabaseAwayError as error:
            if stop.is_set() or time.monotonic() >= until:
                raise
            if not has_told:
                _log.warning("database_away", error=str(error), hint=error.hint, waits_seconds=seconds)
            has_told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS):
                await stop.wait()
