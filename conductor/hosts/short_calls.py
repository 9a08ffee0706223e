"""Calls a host once, on a channel that may be closed meanwhile: a host can be removed at any time.

gRPC cancels the calls of a channel that is closed, which looks like the end of the task that waits for them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class ChannelClosedError(Exception):
    """The channel was closed before the host answered."""


async def call_once(method: Callable[..., Awaitable[Answer]], request: Request, seconds: float) -> Answer:
    """Returns the host's answer. Raises ChannelClosedError, or gRPC's error."""
    try:
        return await method(request, timeout=seconds)
    except grpc.aio.UsageError as error:
        raise ChannelClosedError from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ChannelClosedError from error
