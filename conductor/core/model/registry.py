"""The hosts that a conductor drives: those that its configuration names, and those that were added while it ran.

An entry says where a host is and whether it is drained. What the host itself reports is a `Host` of the conductor's state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain of a host by an operator: nothing new starts there. `by` names the caller, `since` is when it began."""

    by: str
    since: float


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A host to drive. The address of a configured host is the configuration's; the store keeps none of it."""

    name: str
    address: str
    is_configured: bool = False
    drain: Drain | None = None


@dataclass(frozen=True, slots=True)
class HostChange:
    """A stored change of one host: its entry after it, None where it is forgotten, and the request that asked for it."""

    host: str
    entry: HostEntry | None
    request_id: str = ""
    request_digest: str = ""


@dataclass(frozen=True, slots=True)
class RequestAddHost:
    """A caller adds a host. `moves`: a stored host of this name is from now on at this address."""

    host: str
    address: str
    moves: bool = False
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0


@dataclass(frozen=True, slots=True)
class RequestRemoveHost:
    """A caller removes a host. `is_forced`: also while attempts run there, which then count as on a host that is away."""

    host: str
    is_forced: bool = False
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0


@dataclass(frozen=True, slots=True)
class RequestDrainHost:
    """A caller drains a host, or takes a drain back."""

    host: str
    by: str = ""
    takes_back: bool = False
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0


HostRequest = RequestAddHost | RequestRemoveHost | RequestDrainHost


def list_entries(configured: Mapping[str, str], stored: Iterable[HostEntry]) -> dict[str, HostEntry]:
    """Returns the hosts by name. Where both name one, the configuration's address holds, and the stored drain."""
    kept = {entry.name: entry for entry in stored}
    entries = {name: entry for name, entry in kept.items() if entry.address}
    for name, address in configured.items():
        drain = kept[name].drain if name in kept else None
        entries[name] = HostEntry(name, address, is_configured=True, drain=drain)
    return entries


def stored_part(entry: HostEntry) -> HostEntry | None:
    """Returns what the store keeps of an entry: of a configured host only its drain, and nothing where it is not drained."""
    if not entry.is_configured:
        return entry
    return replace(entry, address="", is_configured=False) if entry.drain is not None else None
