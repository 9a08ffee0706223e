"""Resolves a host once, and keeps the addresses that may be connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from conductor.snapshots.fetched.pinned_connection import ServerError
from servicekit.fetching.allowed_hosts import AllowedHosts
from servicekit.fetching.urls import RepositoryUrl

MAX_ADDRESSES = 8
RESOLVE_SECONDS = 15.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Returns the addresses of a host, as this machine resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


async def find_addresses(url: RepositoryUrl, hosts: AllowedHosts, resolve: Resolve) -> tuple[str, ...]:
    """Returns the addresses to connect to, in the order of the resolver; raises ServerError where there are none."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await resolve(url.place.host, url.port)
    except TimeoutError as error:
        raise ServerError(f"has a name that was not resolved within {RESOLVE_SECONDS:g} s") from error
    except (OSError, UnicodeError) as error:
        raise ServerError(f"has a name that cannot be resolved: {getattr(error, 'strerror', None) or error}") from error
    addresses = list(dict.fromkeys(str(ip_address(each.partition("%")[0])) for each in found))[:MAX_ADDRESSES]
    refused = {address: hosts.why_refused(address, url.port) for address in addresses}
    if allowed := tuple(address for address, why in refused.items() if not why):
        return allowed
    told = ", ".join(f"{address}, {why}" for address, why in refused.items()) or "nothing"
    hint = "the operator allows it as an address beside the name:  conductor serve --allow-fetch NAME --allow-fetch ADDRESS"
    raise ServerError(f"has a name that leads to {told}", hint if addresses else "")
