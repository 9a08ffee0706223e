"""A host's place in its pool, as `agenthost join` leaves it: the name and the address to serve with. Reads no certificate."""

import json
from dataclasses import dataclass

from servicekit.tls.files import TlsError, TlsFolder, read_bounded
from servicekit.tls.identity import is_name


@dataclass(frozen=True, slots=True)
class Membership:
    """The place of a host. `listen` is the address to serve, `addresses` are those that others reach it by."""

    pool: str
    name: str
    listen: str
    addresses: tuple[str, ...] = ()


def read_membership(folder: TlsFolder) -> Membership | None:
    """Returns a host's place in its pool; None where it has joined none. Raises TlsError where the file is damaged."""
    if not folder.pool.exists():
        return None
    mend = "join again:  agenthost join FILE --data DIR"
    try:
        match json.loads(read_bounded(folder.pool, mend)):
            case {"pool": str(pool), "name": str(name), "listen": str(listen), "addresses": [*addresses]} if (
                is_name(pool) and is_name(name) and all(isinstance(each, str) for each in addresses)
            ):
                return Membership(pool, name, listen, tuple(addresses))
    except (ValueError, RecursionError):
        pass
    raise TlsError(f"{folder.pool} is damaged", hint=mend)


def listen_address(addresses: tuple[str, ...]) -> str:
    """Returns what to listen at: the one address, if it is an IP's; else every interface, at its port.

    A machine's own name often stands for a loopback address there, and several addresses need one socket for all.
    """
    host, _, port = addresses[0].rpartition(":")
    is_ip = host.startswith("[") or host.replace(".", "").isdigit()
    if len(addresses) == 1 and is_ip:
        return addresses[0]
    return f"[::]:{port}" if host.startswith("[") else f"0.0.0.0:{port}"
