"""Names the pool of a model's endpoint, and counts its slots: as many requests as the server works on at once.

A pool has the name that the operator gives it (`pool = "gpu0"`), so that hosts which use one server can say so. Otherwise its name
is scheme, address and port. A name that leads into a private network is replaced by its address, because hosts may call one server
by different names. A public name stays: many addresses stand behind it. An address of the host itself is that host's alone.
"""

from dataclasses import dataclass
from ipaddress import ip_address

from agenthost.core.models.endpoint import LOOPBACK, Endpoint

LOCAL_SLOTS = 1  # a server with one graphics card
HOSTED_SLOTS = 8


@dataclass(frozen=True, slots=True)
class ModelPool:
    """A pool. `is_local`: its server is on this machine or in a private network, and loads a model when it is asked."""

    name: str
    slots: int
    is_local: bool = False


def pool_of(endpoint: Endpoint, told_slots: int, host: str, address: str = "") -> ModelPool:
    """Returns the pool of an endpoint. `told_slots` are the server's own, 0 where it tells none; `address` was looked up."""
    place = _place(endpoint, address)
    is_local = place in LOOPBACK or _is_private(place)
    slots = endpoint.slots or told_slots or (LOCAL_SLOTS if is_local else HOSTED_SLOTS)
    return ModelPool(endpoint.pool or _name(endpoint, place, host), slots, is_local)


def must_be_resolved(endpoint: Endpoint) -> bool:
    """Returns whether the address of an endpoint is a name that only the host's network knows how to read."""
    return not endpoint.pool and endpoint.host not in LOOPBACK and not _is_address(endpoint.host)


def _place(endpoint: Endpoint, address: str) -> str:
    """Returns the address where it is a private one, the name otherwise."""
    if endpoint.host in LOOPBACK or _is_loopback(endpoint.host) or _is_loopback(address):
        return "127.0.0.1"
    return address if _is_private(address) else endpoint.host


def _name(endpoint: Endpoint, place: str, host: str) -> str:
    where = f"[{place}]" if ":" in place else place
    name = f"{'https' if endpoint.tls else 'http'}://{where}:{endpoint.port}"
    return f"{name} on {host}" if place in LOOPBACK else name


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_private(text: str) -> bool:
    return _is_address(text) and ip_address(text).is_private


def _is_loopback(text: str) -> bool:
    return _is_address(text) and ip_address(text).is_loopback
