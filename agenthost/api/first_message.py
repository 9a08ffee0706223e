"""Reads the first message of a call, within a time: a call that says nothing would keep its place for good."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from agenthost.errors import NoCapacityError

Message = TypeVar("Message")


async def first_of(requests: AsyncIterator[Message], seconds: float) -> Message | None:
    """Returns the first message; None where the caller half-closed without one. A timeout ends the call."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(requests, None)
    except TimeoutError as error:
        raise NoCapacityError(f"the call said nothing for {seconds:g} s, and others wait") from error
