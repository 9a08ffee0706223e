"""Explains why a step has no place. Pure functions of hosts and pools.

The explanation is for the operator: which host is away, why a host cannot run its agent, that an agent's name may be mistyped
(every host is connected, and none knows it), that labels or confinement leave no host, or which pool of model slots is full or
parked.
"""

from collections.abc import Mapping, Sequence

from conductor.core.folded.step import Wait
from conductor.core.model.conductor_state import Host
from conductor.core.model.states import WaitKind
from conductor.core.model.truncation import MOST_REASON, cut_text
from conductor.core.placing.demand import Demand
from conductor.core.placing.placement import (
    able_hosts,
    has_labels,
    list_names,
    list_seats,
    may_take,
    most_reach,
    usable_hosts,
)
from conductor.core.placing.slots import PoolSlots

# How many reasons it quotes.
MOST_REASONS = 2
# No host has connected or failed to: none is configured, or the conductor is connecting right now.
NO_HOST_YET = " None has connected since the conductor started; add one:  conductor hosts add NAME ADDRESS"


def explain_wait(hosts: Mapping[str, Host], demand: Demand, pools: PoolSlots, run: str) -> Wait:
    """Returns what a step of a run waits for that has no place now. It changes with hosts, and with the use of pools."""
    agents = demand.agents
    names = cut_text(" or ".join(agents), MOST_REASON)
    hosts = {name: host for name, host in hosts.items() if not host.removed}
    usable = usable_hosts(hosts)
    if not usable:
        text = _explain_drains(hosts) or "No host is connected."
        return Wait(WaitKind.HOST, cut_text(text + (_name_absent(hosts) if hosts else NO_HOST_YET)))
    known = [host for host in usable if not host.agents.isdisjoint(agents)]
    if not known:
        away = _explain_drained(hosts, demand) or _explain_lack(hosts, usable, agents)
        return Wait(WaitKind.AGENT, cut_text(f"No connected host offers {names}.{away}"))
    if (unfit := _explain_unfit(hosts, known, demand)) is not None:
        return unfit
    if (full := pools.explain(list_seats(hosts, demand), run)) is not None:
        return full
    offering = [host.name for host in able_hosts(hosts, demand) if not host.agents.isdisjoint(agents)]
    where = f"host {offering[0]}" if len(offering) == 1 else f"the {len(offering)} hosts"
    return Wait(WaitKind.SLOT, f"Every slot of {where} that can run {names} is taken.")


def _explain_drains(hosts: Mapping[str, Host]) -> str:
    """Explains that every connected host is draining, and which drains the operator may take back; empty where none is."""
    drained = sorted(host.name for host in hosts.values() if host.connected and host.drained)
    if drained:
        return f"Every connected host is draining; take it back:  conductor hosts undrain {drained[0]}."
    return (
        "Every connected host is draining." if any(host.connected and host.draining for host in hosts.values()) else ""
    )


def _explain_drained(hosts: Mapping[str, Host], demand: Demand) -> str:
    """Tells which host would do, and is draining: the first of them; empty where none is."""
    would_do = (
        host
        for host in sorted(hosts.values(), key=lambda host: host.name)
        if host.connected
        and (host.drained or host.draining)
        and has_labels(host, demand)
        and not host.agents.isdisjoint(demand.agents)
    )
    for host in would_do:
        mend = f"; take it back:  conductor hosts undrain {host.name}." if host.drained else "."
        return f" {host.name} does, and is draining{mend}"
    return ""


def _explain_unfit(hosts: Mapping[str, Host], known: Sequence[Host], demand: Demand) -> Wait | None:
    """Explains why none of the hosts that offer the agent is what the step asks for; None where one is."""
    agents = demand.agents
    names = cut_text(" or ".join(agents), MOST_REASON)
    fitting = [host for host in known if has_labels(host, demand)]
    if not fitting:
        wanted = list_names([f"{name}={value}" for name, value in demand.labels])
        there = list_names(sorted(host.name for host in known))
        text = f"No connected host that offers {names} has the labels {wanted}: {there}."
        return Wait(WaitKind.HOST, cut_text(text + _explain_drained(hosts, demand)))
    reach = most_reach(hosts, demand)
    strict = [host for host in fitting if any(may_take(host, agent, demand, reach) for agent in agents)]
    if not strict:
        text = f"{agents[0]} cannot be had, and what is offered in its place would reach more of the network: "
        offered = sorted({agent for host in fitting for agent in host.agents if agent in agents})
        return Wait(
            WaitKind.AGENT,
            cut_text(f"{text}{list_names(offered)}.{_explain_lack(hosts, usable_hosts(hosts), agents[:1])}"),
        )
    if not any(demand.features <= host.features for host in strict):
        old = list_names(sorted(host.name for host in strict))
        text = f"Every connected host that offers {names} is too old for a step inside another step: {old}."
        return Wait(WaitKind.HOST, cut_text(f"{text} Update agenthost there."))
    return None


def _explain_lack(hosts: Mapping[str, Host], usable: Sequence[Host], agents: Sequence[str]) -> str:
    """Explains why no usable host offers an agent, as far as hosts have said."""
    known = [
        f" {host.name} has {agent}, but: {host.unusable[agent].rstrip('.') or 'it gives no reason'}."
        for host in sorted(usable, key=lambda host: host.name)
        for agent in agents
        if agent in host.unusable
    ]
    if known:
        others = f" And {len(known) - MOST_REASONS} more such reasons." if len(known) > MOST_REASONS else ""
        return "".join(known[:MOST_REASONS]) + others
    if len(usable) < len(hosts):
        return _name_absent(hosts)
    offered = sorted({agent for host in usable for agent in host.agents})
    return f" Every host is connected; they offer {list_names(offered)}." if offered else ""


def _name_absent(hosts: Mapping[str, Host]) -> str:
    """Names the hosts that went away, and those that never connected: a sentence each."""
    absent = sorted(host.name for host in hosts.values() if not host.connected and host.was_reached)
    missed = sorted(host.name for host in hosts.values() if not host.connected and not host.was_reached)
    away = f" Disconnected: {list_names(absent)}." if absent else ""
    return f"{away} Not reached since the conductor started: {list_names(missed)}." if missed else away
