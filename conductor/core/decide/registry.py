"""Adds, moves, removes and drains hosts.

The rules, before the code:

- The change is stored first; the commands that open and close links follow from it, and from the stored hosts after a restart.
- A host that is added again, also elsewhere, is the same host where its data folder is the same: its attempts resume there.
- From its removal on, a host is silent. An attempt of it is given up as on any silent host, after its agent has surely ended.
- Nothing starts on a drained host; what was started goes on there. The host knows nothing of it: another conductor may use it.
- A configured host is moved and removed by its configuration only. It can be drained.
"""

from dataclasses import replace

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.model.commands import Accepted, CloseHost, OpenHost, Rejected
from conductor.core.model.registry import (
    Drain,
    HostChange,
    HostEntry,
    HostRequest,
    RequestAddHost,
    RequestDrainHost,
    RequestRemoveHost,
    stored_part,
)

HOST_BUSY = "HOST_BUSY"
HOST_EXISTS = "HOST_EXISTS"
HOST_CONFIGURED = "HOST_CONFIGURED"
HOST_NOT_FOUND = "HOST_NOT_FOUND"
NO_CAPACITY = "NO_CAPACITY"


def take_host_request(decision: DecisionDraft, request: HostRequest) -> None:
    """Takes a request about a host, and replies to it."""
    flaw = _find_flaw(decision, request)
    if flaw is not None:
        decision.replies.append(Rejected(request.reply, *flaw))
        return
    _forget_removed(decision)
    stored: HostEntry | None = None
    match request:
        case RequestAddHost():
            stored = stored_part(_add(decision, request))
        case RequestRemoveHost():
            _remove(decision, request)
        case RequestDrainHost():
            stored = stored_part(_drain(decision, request))
    decision.host_changes.append(HostChange(request.host, stored, request.request_id, request.request_digest))
    decision.replies.append(Accepted(request.reply, ""))
    decision.touched_hosts = True


def count_attempts(decision: DecisionDraft, host: str) -> int:
    """Counts the live attempts of a host."""
    return sum(track.host == host for _, one in decision.runs() for track in one.tracks.values())


def _find_flaw(decision: DecisionDraft, request: HostRequest) -> tuple[str, str] | None:
    """Returns the reason and the message against a request; None where it can be met."""
    entry = decision.registry.get(request.host)
    match request:
        case RequestAddHost():
            return _find_flaw_of_add(decision, request, entry)
        case _ if entry is None:
            return HOST_NOT_FOUND, request.host
        case RequestRemoveHost() if entry.is_configured:
            return HOST_CONFIGURED, f"host {entry.name} is named by the conductor's configuration, which keeps it"
        case RequestRemoveHost(is_forced=False) if count := count_attempts(decision, request.host):
            return HOST_BUSY, f"{count} attempts run on host {entry.name}" if count > 1 else (
                f"an attempt runs on host {entry.name}"
            )
        case _:
            return None


def _find_flaw_of_add(
    decision: DecisionDraft, request: RequestAddHost, entry: HostEntry | None
) -> tuple[str, str] | None:
    taken = next(
        (one.name for one in decision.registry.values() if one.address == request.address and one.name != request.host),
        None,
    )
    if taken is not None:
        return HOST_EXISTS, f"{request.address} is the address of host {taken}"
    if entry is None:
        most = decision.limits.hosts
        is_full = len(decision.registry) >= most
        return (NO_CAPACITY, f"there are {most} hosts, which is the limit (limits.hosts)") if is_full else None
    if entry.address == request.address or (request.moves and not entry.is_configured):
        return None
    if entry.is_configured:
        return HOST_CONFIGURED, f"host {entry.name} is named by the conductor's configuration, at {entry.address}"
    return HOST_EXISTS, f"there is a host {entry.name} already, at {entry.address}"


def _add(decision: DecisionDraft, request: RequestAddHost) -> HostEntry:
    before = decision.registry.get(request.host)
    entry = before or HostEntry(request.host, request.address)
    if before is not None and before.address == request.address:
        return entry
    if before is not None:
        decision.commands.append(CloseHost(request.host))
    entry = replace(entry, address=request.address)
    decision.registry[request.host] = entry
    _silence(decision, request.host, is_removed=False)
    decision.commands.append(OpenHost(request.host, request.address))
    return entry


def _remove(decision: DecisionDraft, request: RequestRemoveHost) -> None:
    del decision.registry[request.host]
    decision.commands.append(CloseHost(request.host))
    _silence(decision, request.host, is_removed=True)


def _drain(decision: DecisionDraft, request: RequestDrainHost) -> HostEntry:
    entry = decision.registry[request.host]
    if request.takes_back:
        entry = replace(entry, drain=None)
    elif entry.drain is None:
        entry = replace(entry, drain=Drain(request.by, decision.now))
    decision.registry[request.host] = entry
    if (host := decision.hosts.get(request.host)) is not None:
        decision.hosts[request.host] = replace(host, drained=entry.drain is not None)
    return entry


def _silence(decision: DecisionDraft, name: str, *, is_removed: bool) -> None:
    """Notes that nothing is heard of a host: its link is closed, or another one has just been opened."""
    host = decision.hosts.get(name)
    if host is None:
        return
    silent_since = host.silent_since if host.silent_since is not None else decision.now
    decision.hosts[name] = replace(host, connected=False, silent_since=silent_since, removed=is_removed)


def _forget_removed(decision: DecisionDraft) -> None:
    """Forgets the removed hosts that no attempt waits for."""
    for name, host in list(decision.hosts.items()):
        if host.removed and not count_attempts(decision, name):
            del decision.hosts[name]
