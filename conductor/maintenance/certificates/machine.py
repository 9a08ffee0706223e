"""This machine's own names: those that clients may dial its conductor by, besides the addresses that the operator gives."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from servicekit.tls.identity import NAME

MAX_ADDRESSES = 16  # a machine with many containers has hundreds
# Of Linux: what is there to read needs no right, and sends nothing.
_ROUTES, _SIX = Path("/proc/net/fib_trie"), Path("/proc/net/if_inet6")
_NOWHERE = ("192.0.2.1", 9)  # an address of documents (RFC 5737)


def own_names() -> tuple[str, ...]:
    """Returns `localhost`, the machine's name, and its IP addresses."""
    machine = socket.gethostname().lower()
    named = [machine] if machine and all(NAME.fullmatch(part) for part in machine.split(".")) else []
    return tuple(dict.fromkeys(["localhost", "127.0.0.1", "::1", *named, *own_addresses()]))


def own_addresses() -> tuple[str, ...]:
    """Returns the IP addresses that other machines may reach this one by, first the one that it sends from."""
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
    found = [*_usual(), *_of_version_four(), *_of_version_six()]
    able = (each for each in found if not (each.is_loopback or each.is_link_local or each.is_unspecified))
    return tuple(dict.fromkeys(map(str, able)))[:MAX_ADDRESSES]


def _usual() -> Iterator[ipaddress.IPv4Address]:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_NOWHERE)  # of a datagram socket: it looks up the route, and sends nothing
        yield ipaddress.IPv4Address(probe.getsockname()[0])


def _of_version_four() -> Iterator[ipaddress.IPv4Address]:
    address = ""
    for line in _lines(_ROUTES):
        if "|--" in line:
            address = line.split()[-1]
        elif "/32 host LOCAL" in line:
            with suppress(ValueError):
                yield ipaddress.IPv4Address(address)


def _of_version_six() -> Iterator[ipaddress.IPv6Address]:
    for line in _lines(_SIX):
        with suppress(ValueError):
            yield ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
