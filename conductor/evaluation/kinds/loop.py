"""A step with rounds: judging whether a round is enough."""

from collections.abc import Mapping

from conductor.core.numbers import decidable
from conductor.evaluation.pinned import failed, read_seen
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.language.expressions import ExpressionError, decide


def until(frame: Frame) -> Frame:
    """Decides whether a loop is done."""
    step, names = read_seen(frame)
    try:
        return Frame({"is_done": decide(step.loop.until, decidable(names))})
    except ExpressionError as error:
        return failed("GUARD_FAILED", f"until of step {step.id} cannot be decided: {error}")


TASKS: Mapping[str, Task] = {"until": until}
