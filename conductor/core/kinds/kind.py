"""The interface of every kind of step. A module of this folder implements it (see `table`).

Rules that hold for every kind are elsewhere: when a step is ready, skipped or stopped (`progress`, `settling`), where an agent
runs (`schedule`), how often it is tried (`retry`).
"""

from typing import Protocol

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.work import Answer, Work


class Kind(Protocol):
    """One kind of step."""

    def begin(self, draft: RunDraft, step: Step) -> None:
        """Begins a step that is ready and not skipped. Called once, in the decision that makes it so."""

    def go_on(self, draft: RunDraft, step: Step) -> None:
        """Takes a running step further, after something happened to it, to a child, or to the run."""

    def pending_work(self, run: Run, step: Step) -> Work | None:
        """Returns the question that is open about an unsettled step. A function of stored events only (see `questions`)."""

    def take_answer(self, draft: RunDraft, step: Step, answer: Answer) -> None:
        """Takes the answer to the open question. Raises TypeError for an answer to another question."""


def reject_answer(step: Step, answer: Answer) -> TypeError:
    """Returns the error for an answer to a question that was not asked."""
    return TypeError(f"step {step.plan.id} is {step.state}, and the answer is {type(answer).__name__}")
