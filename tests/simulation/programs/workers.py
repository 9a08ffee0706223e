"""Simulated workers: pure, so that the same question has the same answer however often it is asked."""

from random import Random

from conductor.core.model.events import Failure, FindingCounts
from conductor.core.model.inputs import Blob, WorkFinished
from conductor.core.model.work import (
    Answer,
    Checked,
    Folded,
    GuardDecided,
    PromptRendered,
    Reported,
    Work,
    WorkFailed,
    WorkKind,
    WorkResult,
)

_FAILURES = {
    WorkKind.SKIP_GUARD: "GUARD_FAILED",
    WorkKind.PROMPT: "PROMPT_BUILD_FAILED",
    WorkKind.FOLD: "FOLD_FAILED",
    WorkKind.CHECK: "OUTPUT_INVALID",
    WorkKind.REPORT: "REPORT_FAILED",
}


def answer(seed: int, work: Work) -> WorkFinished:
    rng = Random(f"work {seed} {work.run} {work.kind} {work.step} {work.attempt}")
    result = WorkResult(work, _answer(rng, work))
    return WorkFinished(result, (Blob(f"{work.kind} {work.run} {work.step}", b"body"),))


def _answer(rng: Random, work: Work) -> Answer:
    if rng.random() < 0.015:
        return WorkFailed(Failure(_FAILURES[work.kind], "The author's text was wrong."))
    match work.kind:
        case WorkKind.SKIP_GUARD:
            return GuardDecided(rng.random() < 0.25, "nothing to do")
        case WorkKind.PROMPT:
            return PromptRendered(f"prompt {work.run} {work.step}")
        case WorkKind.FOLD:
            return Folded(f"text {work.step}", f"findings {work.step}", FindingCounts(1, 0, 0))
        case WorkKind.CHECK:
            return Checked(f"findings {work.attempt}", FindingCounts(1, 1, 1))
        case WorkKind.REPORT:
            return Reported("markdown", "json")
