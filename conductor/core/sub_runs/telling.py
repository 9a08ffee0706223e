"""What a run and its sub-runs have to tell each other: that a sub-run must end, and that it ended.

It is an input for the next decision, which takes it as any other. It follows from stored events, so recovery repeats it, and one
that comes twice changes nothing. A sub-run whose parent has ended, or does not know it, is told to end.
"""

from collections.abc import Collection, Iterator, Mapping

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.room import count_known_steps
from conductor.core.folded.run import Run
from conductor.core.model.inputs import RequestCancel, SubRunReported
from conductor.core.model.states import Failure, FailureClass, RunState

SUB_RUN_LOST = "SUB_RUN_LOST"
Told = RequestCancel | SubRunReported
_PARENT_ENDED = "the run that it is part of ended"


def list_told(drafts: Mapping[str, RunDraft]) -> Iterator[Told]:
    """Yields the inputs that runs have for each other at the end of a decision."""
    for draft in drafts.values():
        yield from draft.told
        if draft.run.is_settled:
            yield from tell_end(draft.run)


def tell_end(run: Run) -> Iterator[Told]:
    """Yields what follows from the end of a run for the run above it, and for those below it."""
    parent = run.plan.parent
    if parent is not None:
        yield SubRunReported(parent.run, parent.step, run.id, run.state, count_known_steps(run), run.failure)
    for name in list_open(run):  # the run was ended by a defect; others end after their sub-runs
        yield RequestCancel(run.steps[name].live_sub_run, _PARENT_ENDED)


def repeat_told(runs: Mapping[str, Run], ended: Mapping[str, Run], damaged: Collection[str]) -> Iterator[Told]:
    """Yields the inputs that a stopped conductor may have taken with it.

    `runs` are the unfinished ones, `ended` the sub-runs that have ended and whose steps have not.
    """
    for run in runs.values():
        if not _is_expected(run, runs):
            yield RequestCancel(run.id, _PARENT_ENDED)
        for name in list_open(run):
            sub_run = run.steps[name].live_sub_run
            if sub_run in ended:
                yield from tell_end(ended[sub_run])
            elif sub_run not in runs:
                yield _report_lost(run.id, name, sub_run, is_damaged=sub_run in damaged)


def list_open(run: Run) -> tuple[str, ...]:
    """Returns the steps whose sub-run has not ended, as far as their run knows."""
    return tuple(name for name, step in run.steps.items() if step.live_sub_run)


def _is_expected(run: Run, runs: Mapping[str, Run]) -> bool:
    """Returns whether nothing is above a run, or a step that waits for it."""
    parent = run.plan.parent
    if parent is None:
        return True
    return parent.run in runs and runs[parent.run].steps[parent.step].live_sub_run == run.id


def _report_lost(run: str, step: str, sub_run: str, *, is_damaged: bool) -> SubRunReported:
    message = "Cannot read its stored events." if is_damaged else "The store does not have it."
    failure = Failure(SUB_RUN_LOST, message, FailureClass.FATAL)
    return SubRunReported(run, step, sub_run, RunState.FAILED, 0, failure)
