"""Chooses the host of an attempt. Pure functions of hosts, their free slots, and pools.

No agent is placed in another's place that is confined less: what the flow prefers bounds what the others may reach.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from conductor.core.model.conductor_state import Host, Track
from conductor.core.model.inputs import Reach
from conductor.core.model.truncation import MOST_REASON, cut_text
from conductor.core.placing.demand import Demand
from conductor.core.placing.slots import NO_SEAT, Seat, seat_of

_ALL = Reach.ANYWHERE
# A host that has the snapshot already is taken as if so much more of it were free.
SNAPSHOT_SHARE = 0.25
# How many hosts and agents a sentence names; it counts the others.
MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Placement:
    """A host and an agent there, with the reason as a sentence. `takes_turns`: the agent can be asked further there.

    `names_places`: the agent is a tool without a model, whose findings may name places without a quote.
    """

    host: str
    agent: str
    reason: str
    instance: str = ""
    takes_turns: bool = False
    seat: Seat = NO_SEAT
    names_places: bool = False


def choose_host(
    hosts: Mapping[str, Host],
    free: Mapping[str, int],
    demand: Demand,
    avoid: Collection[str] = (),
    admits: Callable[[Seat], bool] = lambda _: True,
    *,
    present: Collection[str] = (),
    again: str = "",
) -> Placement | None:
    """Returns the best place; None where there is none. `free` holds free slots of usable hosts; hosts in `avoid` come last.

    `admits` says whether the slot of a model can be had. The first agent that has a place is taken. Of the hosts that offer it, the
    one with the largest free share is taken, so that work spreads and a small host is not full before a large one is half used.
    Hosts in `present` have the snapshot already, which counts as a quarter of their slots. `again` is the host of the answer that
    is to be repaired: it comes first, since its model's server may remember the conversation. Ties go by name.
    """

    def rank(host: Host) -> tuple[bool, bool, float, str]:
        share = free[host.name] / host.slots + SNAPSHOT_SHARE * (host.name in present)
        return host.name != again, host.name in avoid, -share, host.name

    able, reach = able_hosts(hosts, demand), most_reach(hosts, demand)
    for agent in demand.agents:
        offering = [host for host in able if may_take(host, agent, demand, reach)]
        open_hosts = [
            host for host in offering if free.get(host.name, 0) > 0 and admits(seat_of(host, agent, demand.model))
        ]
        if open_hosts:
            best = min(open_hosts, key=rank)
            is_roomiest = all(free[host.name] / host.slots <= free[best.name] / best.slots for host in open_hosts)
            why = ""
            if best.name == again:
                why = "made the answer that is to be repaired"
            elif best.name in present and not is_roomiest:
                why = "has the snapshot already"
            reason = _give_reason(best, free[best.name], agent, len(offering), why) + _tell_selectors(agent, demand)
            seat = seat_of(best, agent, demand.model)
            names_places = agent in best.place_agents and not seat.pool
            return Placement(best.name, agent, reason, best.instance, agent in best.turn_agents, seat, names_places)
    return None


def list_seats(hosts: Mapping[str, Host], demand: Demand) -> list[Seat]:
    """Returns the slots of models that a step could take, were every host free."""
    able, reach = able_hosts(hosts, demand), most_reach(hosts, demand)
    return [
        seat_of(host, agent, demand.model)
        for host in able
        for agent in demand.agents
        if may_take(host, agent, demand, reach)
    ]


def able_hosts(hosts: Mapping[str, Host], demand: Demand) -> list[Host]:
    """Returns the hosts that a step may run on, by all but their agents."""
    return [host for host in usable_hosts(hosts) if demand.features <= host.features and has_labels(host, demand)]


def has_labels(host: Host, demand: Demand) -> bool:
    """Returns whether a host has the labels that a step asks for."""
    return all(host.labels.get(name) == value for name, value in demand.labels)


def most_reach(hosts: Mapping[str, Host], demand: Demand) -> Reach:
    """Returns how far another agent may reach in place of the first: as far as that one somewhere. Where it is unknown, all may."""
    if len(demand.agents) == 1:
        return _ALL
    return max(
        (host.reach[demand.agents[0]] for host in hosts.values() if demand.agents[0] in host.reach), default=_ALL
    )


def may_take(host: Host, agent: str, demand: Demand, most: Reach) -> bool:
    """Returns whether a host offers an agent that a step may have."""
    is_first = agent == demand.agents[0]
    return agent in host.agents and (is_first or host.reach.get(agent, Reach.NOTHING) <= most)


def usable_hosts(hosts: Mapping[str, Host]) -> list[Host]:
    """Returns the hosts that take work."""
    return [
        host for host in hosts.values() if host.connected and not host.draining and not host.drained and host.slots > 0
    ]


def count_free(hosts: Mapping[str, Host], tracks: Iterable[Track]) -> dict[str, int]:
    """Returns the number of free slots of each usable host that has some."""
    used = Counter(track.host for track in tracks)
    free = {host.name: host.slots - used[host.name] for host in usable_hosts(hosts)}
    return {name: slots for name, slots in free.items() if slots > 0}


def _tell_selectors(agent: str, demand: Demand) -> str:
    """Tells what the flow asked for beside an agent, in sentences."""
    labels = f" It has {list_names([f'{name}={value}' for name, value in demand.labels])}." if demand.labels else ""
    before = demand.agents[: demand.agents.index(agent)]
    preferred = f" {list_names(before)} had no place, which the flow prefers." if before else ""
    return cut_text(labels + preferred, MOST_REASON)


def _give_reason(host: Host, free: int, agent: str, offering: int, why: str) -> str:
    if why:
        return f"{host.name} {why}, of {offering} that offer {agent}; {free} of {host.slots} slots were free."
    if offering == 1:
        return f"{host.name} is the only host that offers {agent}; {free} of {host.slots} slots were free."
    return (
        f"{host.name} had the most room of {offering} hosts that offer {agent}: {free} of {host.slots} slots were free."
    )


def list_names(names: Sequence[str]) -> str:
    """Returns names for a sentence, and how many more there are."""
    others = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *others])
