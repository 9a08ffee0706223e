"""Looks up where the names of models' endpoints lead, once, when the host starts."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping

from agenthost.core.models.endpoint import Endpoint
from agenthost.core.models.pools import must_be_resolved
from agenthost.models.settings import ModelSettings

LOOKUP_SECONDS = 2.0


async def find_addresses(models: Mapping[str, ModelSettings]) -> dict[str, str]:
    """Returns an address for each endpoint that is configured by name; empty for a name that is not found in time."""
    asked = {name: model.endpoint for name, model in models.items() if must_be_resolved(model.endpoint)}
    found = await asyncio.gather(*(_find(endpoint) for endpoint in asked.values()))
    return dict(zip(asked, found, strict=True))


async def _find(endpoint: Endpoint) -> str:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, UnicodeError, TimeoutError):
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        return min(str(address[0]) for *_, address in found)
    return ""
