"""A step with rounds: judging whether a round is enough."""

from collections.abc import Mapping

from conductor.core.numbers import decidable
from conductor.evaluation.pinned import failed, read_names, read_pinned
from conductor.evaluation.reports.results import whole
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.language.expressions import ExpressionError, decide


def until(frame: Frame) -> Frame:
    """Decides whether a loop is done."""
    bundle, inputs, results = read_pinned(frame)
    step = bundle.step(frame.header["step"])
    names = decidable({**read_names(frame), "inputs": inputs, "band": inputs["band"], "steps": whole(results)})
    try:
        return Frame({"is_done": decide(step.loop.until, names)})
    except ExpressionError as error:
        return failed("GUARD_FAILED", f"until of step {step.id} cannot be decided: {error}")


TASKS: Mapping[str, Task] = {"until": until}
