"""Describes a world that does not come to an end: which runs and steps go on, and where."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World


def describe(world: "World") -> str:
    """Returns what still goes on, in one line."""
    runs = {
        name: {step: str(one.state) for step, one in run.steps.items() if not one.is_settled}
        for name, run in world.store.runs.items()
        if not run.is_settled
    }
    ring = None if world.conductor is None else world.conductor.ring
    links = {} if ring is None else ring.executions
    attended = {name: vars(one._conversation) for link in links.values() for name, one in link._streams.items()}
    living = {name: sorted(machine.living) for name, machine in world.machines.items()}
    return f"at {world.agenda.now:.1f}: runs {runs}, attended {attended}, living {living}"
