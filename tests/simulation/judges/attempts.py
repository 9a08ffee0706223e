"""Judges an attempt in the end, by what its machine knows of it."""

from conductor.core.folded.attempt import Attempt, attempt_owner
from conductor.core.model.states import AttemptState
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.machine import Machine
from tests.simulation.programs.plans import RENDERED

# So end the sentences about attempts that were given up: of hosts that were silent, or removed.
_SILENT = ("was silent for", "was away for")


def check_attempt(attempt: Attempt, machine: Machine) -> None:
    """Raises Violation where an attempt is lost that ran, or where its turns are not those that its agent ended."""
    _check_loss(attempt, machine)
    _check_turns(attempt, machine)
    _check_parameters(attempt)


def _check_loss(attempt: Attempt, machine: Machine) -> None:
    """An attempt that ran is lost with its machine, or by too long a silence; not otherwise."""
    is_silence = attempt.end.failure is not None and any(how in attempt.end.failure.message for how in _SILENT)
    has_run = attempt.id in machine.begun and attempt.id not in machine.unpowered
    if attempt.state is AttemptState.LOST and has_run and not is_silence:
        raise Violation(f"{attempt.id} ran, and its host did not know it any more")


def _check_turns(attempt: Attempt, machine: Machine) -> None:
    """Every turn that an agent ended is stored, unless its attempt was lost, or its machine's disk lost what it said."""
    ended, stored = machine.ended_turns[attempt.id], len(attempt.ended_turns)
    may_lack = attempt.state is AttemptState.LOST or machine.is_torn(attempt.id) or attempt.refused
    if stored > ended or (stored < ended and not may_lack):
        raise Violation(f"{attempt.id} ended {ended} turns, and {stored} are stored")


def _check_parameters(attempt: Attempt) -> None:
    """Every attempt of a step gets the parameters that were rendered with its prompt."""
    _, step = attempt_owner(attempt.id)
    for name, value in attempt.start.parameters:
        if (name, value) != (RENDERED, step):
            raise Violation(f"{attempt.id} got the parameter {name}={value}, which was not rendered for it")
