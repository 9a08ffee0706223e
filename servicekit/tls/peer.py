"""How the caller of an RPC is connected, and the certificate that it showed. It decides nothing: `admit` of each service does.

gRPC's own TLS tells the certificate in the call's auth context. Behind a `Front` the connection's name tells it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from servicekit.tls.certificates import Facts, UnreadableError, read_facts

# In the name that a front gives each of its connections. Nothing else connects from a socket with a name.
FRONT_NAME = "conductor-tls-"
_ABSTRACT = "unix-abstract:"


class Way(StrEnum):
    """The ways of connecting."""

    LOOPBACK = "loopback"
    SOCKET = "socket"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection. `certificate` is None where it showed none."""

    way: Way
    certificate: Facts | None = None


class Peers:
    """Finds the peer of a call; keeps the certificates of connections that a front has open."""

    def __init__(self) -> None:
        self._fronted: dict[str, tuple[Facts | None, str]] = {}

    def note(self, name: str, certificate: Facts | None, address: str) -> None:
        """Notes a connection of a front."""
        self._fronted[name] = certificate, address

    def forget(self, name: str) -> None:
        """Forgets a connection that has ended."""
        self._fronted.pop(name, None)

    @staticmethod
    def name_of(context: Any) -> str:
        """Returns the name of the connection of a call, where a front has it."""
        peer: str = context.peer() or ""
        return peer.removeprefix(_ABSTRACT)

    def address_of(self, context: Any) -> str:
        """Returns where a call comes from, as gRPC tells it for connections of its own: `ipv4:192.168.1.5:40000`."""
        peer: str = context.peer() or ""
        _, address = self._fronted.get(peer.removeprefix(_ABSTRACT), (None, peer))
        return address

    def find(self, context: Any) -> Peer:
        """Returns the peer of a call."""
        peer: str = context.peer() or ""
        if peer.startswith(_ABSTRACT + FRONT_NAME):
            facts, _ = self._fronted.get(peer.removeprefix(_ABSTRACT), (None, ""))
            return Peer(Way.TLS, facts)
        if peer.startswith("unix"):
            return Peer(Way.SOCKET)
        told = context.auth_context()
        if told.get("transport_security_type") != [b"ssl"]:
            return Peer(Way.LOOPBACK)
        shown = told.get("x509_pem_cert")
        return Peer(Way.TLS, _readable(shown[0]) if shown else None)


def _readable(pem: bytes) -> Facts | None:
    try:
        return read_facts(pem)
    except UnreadableError:
        return None
