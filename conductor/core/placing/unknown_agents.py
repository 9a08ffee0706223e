"""Finds steps whose agents no host knows, and seats panels, once every configured host has said which agents it has. Pure.

A host that has an agent and cannot run it now knows it: a person may mend that while the step waits.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from conductor.core.model.conductor_state import Host
from conductor.core.model.plan import ForeachPlan, LoopPlan, StepPlan


def list_known_agents(hosts: Mapping[str, Host], configured: Collection[str]) -> list[str] | None:
    """Returns every agent of the configured hosts; None while one of them is away, or where none is configured."""
    if not configured or not all(name in hosts and hosts[name].connected for name in configured):
        return None
    return sorted({agent for name in configured for agent in (*hosts[name].agents, *hosts[name].unusable)})


def list_usable_agents(hosts: Mapping[str, Host], configured: Collection[str]) -> list[str]:
    """Returns every agent that a configured host can run."""
    return sorted({agent for name in configured if name in hosts for agent in hosts[name].agents})


def seat_panels(
    steps: Iterable[StepPlan], usable: Collection[str], *, is_complete: bool = True
) -> tuple[StepPlan, ...]:
    """Returns the steps, their panels without the agents that no host can run, where it can run another one.

    A panel that needs no agent to succeed is left out where it can have none. While a host is away, which may bring others
    (`is_complete` is false), only such panels go without.
    """
    return tuple(_seat(step, usable, is_complete=is_complete) for step in steps)


def _seat(step: StepPlan, usable: Collection[str], *, is_complete: bool) -> StepPlan:
    match step.work:
        case ForeachPlan(agents=agents) as work if agents:
            is_optional = work.min_success == 0
            there = tuple(agent for agent in agents if agent in usable)
            if there == agents or not (is_complete or is_optional) or not (there or is_optional):
                return step
            absent = tuple(agent for agent in agents if agent not in usable)
            if not there:
                why = step.excluded_because or f"no host can run {', '.join(absent)}"
                return replace(step, excluded_because=why, work=replace(work, absent=absent))
            return replace(step, work=replace(work, agents=there, absent=absent, max_parallel=len(there)))
        case ForeachPlan() | LoopPlan() as work:
            return replace(step, work=replace(work, steps=seat_panels(work.steps, usable, is_complete=is_complete)))
        case _:
            return step


def find_unknown_agents(steps: Iterable[StepPlan], known: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields each step that will run and can have none of its agents, with their names."""
    for step in steps:
        if step.excluded_because:
            continue
        if isinstance(step.work, ForeachPlan | LoopPlan):
            yield from find_unknown_agents(step.work.steps, known)
        agents = step.agent.agents if step.agent is not None else ()
        if agents and not set(agents) & set(known):
            yield step.id, agents
