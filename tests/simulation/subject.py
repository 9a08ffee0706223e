"""What is simulated: the core, as three functions. Mutants are other triples (see `mutants`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conductor.core.advance import advance
from conductor.core.commands import Command, Decision
from conductor.core.conductor_state import ConductorState, Limits
from conductor.core.inputs import Input
from conductor.core.recover import recover, restore
from conductor.core.run import Run


def restore_with(runs: Mapping[str, Run], cursors: Mapping[str, int], now: float, limits: Limits) -> ConductorState:
    return restore(runs, cursors, now, limits=limits)


@dataclass(frozen=True, slots=True)
class Subject:
    advance: Callable[[ConductorState, Sequence[Input], float], tuple[Decision, ConductorState]] = advance
    restore: Callable[[Mapping[str, Run], Mapping[str, int], float, Limits], ConductorState] = restore_with
    recover: Callable[[ConductorState], tuple[Command, ...]] = recover


class Violation(AssertionError):  # noqa: N818 — it is no error of the program: it is what a simulation finds
    """A promise was broken."""
