"""Judges what is decided about hosts: where nothing may begin, and which host may be removed."""

from collections.abc import Iterable, Mapping, Sequence

from conductor.core.model.commands import Accepted, Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.inputs import Input
from conductor.core.model.registry import HostChange, HostEntry, RequestRemoveHost
from tests.simulation.judges.journal import JudgedDisk
from tests.simulation.judges.violation import Violation


def check_hosts(inputs: Sequence[Input], decision: Decision, store: JudgedDisk, configured: Iterable[str]) -> None:
    """Judges a decision before it is stored."""
    after = _change(store.hosts, decision.hosts)
    driven = {name for name, entry in after.items() if entry.address} | set(configured)
    for record in decision.to_store:
        if not isinstance(record, Record) or not isinstance(record.event, AttemptCreated):
            continue
        host = record.event.host
        if host not in driven:
            raise Violation(f"{record.event.attempt} is created on {host}, which is not driven")
        if host in after and after[host].drain is not None:
            raise Violation(f"{record.event.attempt} is created on {host}, which is drained")
    accepted = {reply.reply for reply in decision.replies if isinstance(reply, Accepted)}
    for request in inputs:
        if isinstance(request, RequestRemoveHost) and request.reply in accepted and not request.is_forced:
            _check_removal(request.host, decision, store)


def _change(hosts: Mapping[str, HostEntry], changes: Iterable[HostChange]) -> dict[str, HostEntry]:
    """Returns the stored hosts after some changes."""
    after = dict(hosts)
    for one in changes:
        after.pop(one.host, None)
        if one.entry is not None:
            after[one.host] = one.entry
    return after


def _check_removal(host: str, decision: Decision, store: JudgedDisk) -> None:
    ended = {
        one.event.attempt for one in decision.to_store if isinstance(one, Record) and hasattr(one.event, "attempt")
    }
    for run in store.runs.values():
        for step in run.steps.values():
            live = step.live_attempt
            if live is not None and live.host == host and live.id not in ended:
                raise Violation(f"{host} is removed, and {live.id} runs there")
