"""The sub-run of a step, folded from the events of the step."""

from dataclasses import dataclass, replace

from conductor.core.model.events.run_events import SubRunEnded, SubRunStarted
from conductor.core.model.states import IllegalTransitionError, RunState


@dataclass(frozen=True, slots=True)
class SubRun:
    """A step's sub-run. `state` is how it ended, None while it is at work; `steps` counts those of its whole tree then."""

    run: str
    state: RunState | None = None
    steps: int = 0

    @property
    def is_live(self) -> bool:
        """Returns whether its end is not known yet."""
        return self.state is None


def apply_to_sub_run(sub_run: SubRun | None, event: SubRunStarted | SubRunEnded) -> SubRun:
    """Returns the sub-run after an event."""
    if isinstance(event, SubRunStarted):
        if sub_run is not None:
            raise IllegalTransitionError(f"step {event.step} has the sub-run {sub_run.run} already")
        return SubRun(event.run)
    if sub_run is None or sub_run.run != event.run or not sub_run.is_live:
        raise IllegalTransitionError(f"step {event.step} has no sub-run {event.run} at work")
    return replace(sub_run, state=event.state, steps=event.steps)
