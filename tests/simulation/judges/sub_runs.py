"""What must be true of sub-runs, judged from what is stored."""

from collections.abc import Mapping

from conductor.core.folded.run import Run
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.states import RunState, StepState
from tests.simulation.judges.violation import Violation


def check_stopped(state: ConductorState) -> None:
    """Judges a state without open inputs: a sub-run of a run that stops, stops too, and a step waits for each."""
    for one in state.ongoing.values():
        parent = one.run.plan.parent
        above = state.ongoing.get(parent.run) if parent is not None else None
        if above is not None and not state.backlog and above.run.steps[parent.step].live_sub_run != one.run.id:  # type: ignore[union-attr]
            raise Violation(f"run {one.run.id} is at work, and no step waits for it")
        for name, step in one.run.steps.items() if not one.dirty and not state.backlog else ():
            below = state.ongoing.get(step.live_sub_run)
            if step.live_sub_run and below is None:
                raise Violation(f"step {one.run.id}/{name} waits for a sub-run that has ended")
            if one.run.stop is not None and below is not None and below.run.stop is None:
                raise Violation(f"run {one.run.id} stops, and its sub-run {below.run.id} goes on")


def check_sub_runs(runs: Mapping[str, Run]) -> int:
    """Judges runs that have all ended: each sub-run has its step, which ended after it and as it did. Returns their number."""
    for run in runs.values():
        for name, step in run.steps.items():
            if step.sub_run is not None and (step.live_sub_run or step.sub_run.run not in runs):
                raise Violation(f"step {run.id}/{name} ended, and not its sub-run {step.sub_run.run}")
    parts = [run for run in runs.values() if run.plan.parent is not None]
    for part in parts:
        _check_part(part, runs)
    return len(parts)


def _check_part(part: Run, runs: Mapping[str, Run]) -> None:
    parent = part.plan.parent
    above = runs.get(parent.run) if parent is not None else None
    step = above.steps.get(parent.step) if parent is not None and above is not None else None
    if above is None or step is None or step.sub_run is None or step.sub_run.run != part.id:
        raise Violation(f"no step knows the sub-run {part.id}")
    if step.sub_run.state is not part.state:
        raise Violation(f"the sub-run {part.id} is {part.state}, and its step was told {step.sub_run.state}")
    if (step.end_time or 0.0) < (part.end_time or 0.0):
        raise Violation(f"step {above.id}/{step.plan.id} ended before its sub-run")
    if step.state is StepState.SUCCEEDED and part.state is not RunState.SUCCEEDED:
        raise Violation(f"step {above.id}/{step.plan.id} succeeded, and its sub-run is {part.state}")
