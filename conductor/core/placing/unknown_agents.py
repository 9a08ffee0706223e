"""Finds steps whose agents no host knows, and seats panels, once every configured host has said which agents it has. Pure.

A host that has an agent and cannot run it now knows it: a person may mend that while the step waits.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from conductor.core.model.conductor_state import Host
from conductor.core.model.plan import ForeachPlan, LoopPlan, StepPlan, WorkPlan, every_step


def list_known_agents(hosts: Mapping[str, Host], configured: Collection[str]) -> list[str] | None:
    """Returns every agent of the configured hosts; None while one of them is away, or where none is configured."""
    if not configured or not all(name in hosts and hosts[name].connected for name in configured):
        return None
    return sorted({agent for name in configured for agent in (*hosts[name].agents, *hosts[name].unusable)})


def list_usable_agents(hosts: Mapping[str, Host], configured: Collection[str]) -> list[str]:
    """Returns every agent that a configured host can run."""
    return sorted({agent for name in configured if name in hosts for agent in hosts[name].agents})


def seat_panels(steps: Iterable[StepPlan], usable: Collection[str]) -> tuple[StepPlan, ...]:
    """Returns the steps, their panels without the agents that no host can run, where it can run another one."""
    return tuple(replace(step, work=_seat(step.work, usable)) for step in steps)


def _seat(work: WorkPlan, usable: Collection[str]) -> WorkPlan:
    match work:
        case ForeachPlan(agents=agents) if agents:
            there = tuple(agent for agent in agents if agent in usable)
            if not there or there == agents:
                return work
            absent = tuple(agent for agent in agents if agent not in usable)
            return replace(work, agents=there, absent=absent, max_parallel=len(there))
        case ForeachPlan() | LoopPlan():
            return replace(work, steps=seat_panels(work.steps, usable))
        case _:
            return work


def find_unknown_agents(steps: Iterable[StepPlan], known: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields each step that will run and can have none of its agents, with their names."""
    for step in every_step(steps):
        agents = step.agent.agents if step.agent is not None and not step.excluded_because else ()
        if agents and not set(agents) & set(known):
            yield step.id, agents
