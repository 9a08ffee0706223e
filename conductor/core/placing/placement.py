"""Chooses the host of an attempt, and explains why a step has no place. Pure functions of hosts, their free slots, and pools.

The explanation is for the operator: which host is away, why a host cannot run its agent, that an agent's name may be mistyped
(every host is connected, and none knows it), or which pool of model slots is full or parked.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from conductor.core.model.conductor_state import Host
from conductor.core.model.states import WaitKind
from conductor.core.model.step import Wait
from conductor.core.model.truncation import MOST_REASON, cut_text
from conductor.core.placing.slots import NO_SEAT, PoolSlots, Seat, seat_of

# How many hosts and agents a sentence names; it counts the others.
MOST_NAMED = 12
# How many reasons it quotes.
MOST_REASONS = 2
# No host has connected or failed to: none is configured, or the conductor is connecting right now.
NO_HOST_YET = " None has connected since the conductor started; configure one:  conductor serve --host NAME=ADDRESS"


@dataclass(frozen=True, slots=True)
class Demand:
    """The needs of a step: a host with one of the agents, and with every feature. `model` is the flow's choice, if it has one."""

    agents: tuple[str, ...]
    features: frozenset[str] = frozenset()
    model: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """A host and an agent there, with the reason as a sentence. `takes_turns`: the agent can be asked further there."""

    host: str
    agent: str
    reason: str
    instance: str = ""
    takes_turns: bool = False
    seat: Seat = NO_SEAT


def choose_host(
    hosts: Mapping[str, Host],
    free: Mapping[str, int],
    demand: Demand,
    avoid: Collection[str] = (),
    admits: Callable[[Seat], bool] = lambda _: True,
) -> Placement | None:
    """Returns the best place; None where there is none. `free` holds free slots of usable hosts; hosts in `avoid` come last.

    `admits` says whether the slot of a model can be had. The first agent that has a place is taken. Of the hosts that offer it, the
    one with the largest free share is taken, so that work spreads and a small host is not full before a large one is half used.
    Ties go by name.
    """
    able = [host for host in _usable(hosts) if demand.features <= host.features]
    for agent in demand.agents:
        offering = [host for host in able if agent in host.agents]
        open_hosts = [
            host for host in offering if free.get(host.name, 0) > 0 and admits(seat_of(host, agent, demand.model))
        ]
        if open_hosts:
            best = min(open_hosts, key=lambda host: (host.name in avoid, -free[host.name] / host.slots, host.name))
            reason = _give_reason(best, free[best.name], agent, len(offering))
            seat = seat_of(best, agent, demand.model)
            return Placement(best.name, agent, reason, best.instance, agent in best.turn_agents, seat)
    return None


def list_seats(hosts: Mapping[str, Host], demand: Demand) -> list[Seat]:
    """Returns the slots of models that a step could take, were every host free."""
    able = [host for host in _usable(hosts) if demand.features <= host.features]
    return [seat_of(host, agent, demand.model) for host in able for agent in demand.agents if agent in host.agents]


def explain_wait(hosts: Mapping[str, Host], demand: Demand, pools: PoolSlots, run: str) -> Wait:
    """Returns what a step of a run waits for that has no place now. It changes with hosts, and with the use of pools."""
    agents = demand.agents
    names = cut_text(" or ".join(agents), MOST_REASON)
    usable = _usable(hosts)
    if not usable:
        draining = any(host.connected and host.draining for host in hosts.values())
        text = "Every connected host is draining." if draining else "No host is connected."
        return Wait(WaitKind.HOST, cut_text(text + (_name_absent(hosts) if hosts else NO_HOST_YET)))
    known = [host for host in usable if not host.agents.isdisjoint(agents)]
    if not known:
        return Wait(
            WaitKind.AGENT, cut_text(f"No connected host offers {names}.{_explain_lack(hosts, usable, agents)}")
        )
    offering = [host.name for host in known if demand.features <= host.features]
    if not offering:
        old = _list(sorted(host.name for host in known))
        text = f"Every connected host that offers {names} is too old for a step inside another step: {old}."
        return Wait(WaitKind.HOST, cut_text(f"{text} Update agenthost there."))
    if (full := pools.explain(list_seats(hosts, demand), run)) is not None:
        return full
    where = f"host {offering[0]}" if len(offering) == 1 else f"the {len(offering)} hosts"
    return Wait(WaitKind.SLOT, f"Every slot of {where} that can run {names} is taken.")


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
    return f" Every host is connected; they offer {_list(offered)}." if offered else ""


def _name_absent(hosts: Mapping[str, Host]) -> str:
    """Names the hosts that went away, and those that never connected: a sentence each."""
    absent = sorted(host.name for host in hosts.values() if not host.connected and host.was_reached)
    missed = sorted(host.name for host in hosts.values() if not host.connected and not host.was_reached)
    away = f" Disconnected: {_list(absent)}." if absent else ""
    return f"{away} Not reached since the conductor started: {_list(missed)}." if missed else away


def _list(names: Sequence[str]) -> str:
    others = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *others])


def _usable(hosts: Mapping[str, Host]) -> list[Host]:
    return [host for host in hosts.values() if host.connected and not host.draining and host.slots > 0]


def _give_reason(host: Host, free: int, agent: str, offering: int) -> str:
    if offering == 1:
        return f"{host.name} is the only host that offers {agent}; {free} of {host.slots} slots were free."
    return (
        f"{host.name} had the most room of {offering} hosts that offer {agent}: {free} of {host.slots} slots were free."
    )
