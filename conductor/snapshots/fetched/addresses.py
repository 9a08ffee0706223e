"""Resolves a host, and keeps the addresses that may be connected to. A fetch asks once: later answers have no part in it."""

import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from conductor.errors import FetchNotAllowedError
from conductor.snapshots.fetched.pinned_connection import ServerError
from servicekit.fetching.allowed_hosts import AllowedHosts
from servicekit.fetching.urls import RepositoryUrl

MAX_ADDRESSES = 8

# Returns the addresses of a host, for a port. Blocking.
Resolve = Callable[[str, int], Sequence[str]]


def resolve_name(host: str, port: int) -> Sequence[str]:
    """Returns the addresses of a host, as this machine resolves it; raises ServerError where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerError(f"has a name that cannot be resolved: {getattr(error, 'strerror', '') or error}") from error
    return [str(address[4][0]) for address in found]


def choose_addresses(url: RepositoryUrl, hosts: AllowedHosts, found: Iterable[str]) -> tuple[str, ...]:
    """Returns the addresses to connect to, in the order of the resolver; raises FetchNotAllowedError where there are none."""
    addresses = [str(ip_address(each.partition("%")[0])) for each in dict.fromkeys(found)][:MAX_ADDRESSES]
    refused = {address: hosts.why_refused(address, url.port) for address in addresses}
    if allowed := tuple(address for address, why in refused.items() if not why):
        return allowed
    told = " and ".join(f"{address}, {why}" for address, why in refused.items()) or "no address"
    raise FetchNotAllowedError(
        str(url),
        f"{url.place.host} leads to {told}, and only addresses that are named are allowed there",
        str(url.place),
        *addresses[:1],
    )
