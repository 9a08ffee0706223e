"""Tells where steps would run now, and starts nothing."""

from collections.abc import Iterable, Mapping

from conductor.core.folded.step import Step, Wait
from conductor.core.model.conductor_state import ConductorState
from conductor.core.placing.demand import demand_of
from conductor.core.placing.placement import Placement, choose_host, count_free
from conductor.core.placing.standing import pool_slots
from conductor.core.placing.waits import explain_wait


def preview_places(state: ConductorState, steps: Iterable[Step], run: str, now: float) -> list[Placement | Wait]:
    """Returns for each step that asks an agent, as if it were alone, the place that it would get now, or what it would wait for."""
    pools = pool_slots(state, now)
    free = count_free(state.hosts, (track for one in state.ongoing.values() for track in one.tracks.values()))
    places: list[Placement | Wait] = []
    for step in steps:
        demand = demand_of(step)
        place = choose_host(state.hosts, free, demand, admits=pools.is_open)
        places.append(place or explain_wait(state.hosts, demand, pools, run))
    return places


def list_candidates(state: ConductorState, steps: Iterable[Step]) -> Mapping[str, frozenset[str]]:
    """Returns the agents that the steps could ask, by host."""
    agents = {agent for step in steps for agent in demand_of(step).agents}
    found = {name: host.agents & agents for name, host in state.hosts.items() if host.connected}
    return {name: offered for name, offered in sorted(found.items()) if offered}
