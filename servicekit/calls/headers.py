"""The headers of a streamed answer, sent before its first message and whole.

gRPC puts them into the first write otherwise, and remembers that they are sent only when that write has returned. A call that is
refused meanwhile, so that its write is cancelled, sends them twice: gRPC refuses its own batch (TOO_MANY_OPERATIONS), and the
client waits for an end that never comes. Headers alone wait for no reader, so the call can wait for them.
"""

import asyncio
from typing import Any


async def send_headers(context: Any) -> None:
    """Sends the headers of a call; a cancellation of the caller arrives once they are sent."""
    sending = asyncio.ensure_future(context.send_initial_metadata(()))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await asyncio.wait({sending})
        raise
