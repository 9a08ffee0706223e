"""Simulated workers: pure, so that the same question has the same answer however often it is asked.

An answer of an agent is good or bad by what the agent was asked, and not by which attempt or turn it was asked in.
"""

from random import Random

from conductor.core.folded.run import Run
from conductor.core.model.events.event_parts import FindingCounts, UsableAnswer
from conductor.core.model.inputs import Blob, WorkFinished
from conductor.core.model.states import Cause, Failure
from conductor.core.model.work import (
    Answer,
    Checked,
    Folded,
    GuardDecided,
    ItemsFound,
    OutputInvalid,
    PromptRendered,
    Reported,
    RoundDecided,
    Shown,
    SubRunPlanned,
    Work,
    WorkFailed,
    WorkKind,
    WorkResult,
)
from tests.simulation.programs.calling import plan_part

_FAILURES = {
    WorkKind.SKIP_GUARD: "GUARD_FAILED",
    WorkKind.ITEMS: "GUARD_FAILED",
    WorkKind.UNTIL: "GUARD_FAILED",
    WorkKind.GATHER: "FOLD_FAILED",
    WorkKind.PROMPT: "PROMPT_BUILD_FAILED",
    WorkKind.FOLD: "FOLD_FAILED",
    WorkKind.SHOW: "SHOW_FAILED",
    WorkKind.CHECK: "OUTPUT_INVALID",
    WorkKind.CALL: "CALL_FAILED",
    WorkKind.COLLECT: "CALL_FAILED",
    WorkKind.REPORT: "REPORT_FAILED",
}
BAD_ANSWERS = 0.5
BAD_REPAIRS = 0.3
BAD_FOLDS = 0.05
LACKING_EVIDENCE = 0.4


def is_repair_prompt(prompt: str) -> bool:
    """Returns whether an attempt with this prompt repairs an answer."""
    return prompt.startswith("repair ")


def answer(seed: int, work: Work, run: Run | None) -> WorkFinished:
    """Answers a question about a run, which tells what an agent was asked."""
    rng = Random(f"work {seed} {work.run} {work.kind} {work.step} {_asked(work, run)}")
    result = WorkResult(work, _answer(rng, work, run))
    names = (f"{word} {work.run} {work.step}" for word in (work.kind, "repair", "input"))
    return WorkFinished(result, tuple(Blob(name, name.encode()) for name in names))


def _asked(work: Work, run: Run | None) -> str:
    """Names the request to repair whose answer is checked, or the round that is judged; empty for all else."""
    if work.kind is WorkKind.UNTIL:
        return f"round {work.round}"
    return "repair" if work.kind is WorkKind.CHECK and _is_repair(work, run) else ""


def _is_repair(work: Work, run: Run | None) -> bool:
    attempts = run.steps[work.step].attempts if run is not None else ()
    return work.turn > 1 or any(one.id == work.attempt and is_repair_prompt(one.start.prompt) for one in attempts)


def _answer(rng: Random, work: Work, run: Run | None) -> Answer:
    if rng.random() < 0.015:
        return WorkFailed(Failure(_FAILURES[work.kind], "The author's text was wrong."))
    if work.kind is WorkKind.CHECK:
        return _check(rng, work, run)
    if work.kind in {WorkKind.SKIP_GUARD, WorkKind.UNTIL}:
        return _decide(rng, work.kind)
    if work.kind is WorkKind.PROMPT and run is not None:
        return PromptRendered(f"prompt {work.run} {work.step}", render_parameters(run, work.step))
    if work.kind is WorkKind.CALL and run is not None:
        return SubRunPlanned(plan_part(run, work.step))
    return _make(rng, work)


def render_parameters(run: Run, step: str) -> tuple[tuple[str, str], ...]:
    """Returns the parameters of a step as they are rendered: each is a template, and becomes the step's id."""
    agent = run.steps[step].plan.agent
    return tuple((name, step) for name, _ in agent.parameters) if agent is not None else ()


def _make(rng: Random, work: Work) -> Answer:
    match work.kind:
        case WorkKind.PROMPT:
            return PromptRendered(f"prompt {work.run} {work.step}")
        case WorkKind.FOLD:
            return _fold(work)
        case WorkKind.SHOW:
            return Shown(f"{work.kind} {work.run} {work.step}")
        case WorkKind.ITEMS:
            return ItemsFound(f"items {work.step}", rng.choice((0, 1, 2, 3, 6)))
        case WorkKind.REPORT:
            return Reported("markdown", "json")
        case _:
            return Folded(f"text {work.step}", f"findings {work.step}", FindingCounts(1, 0, 0))


def _decide(rng: Random, kind: WorkKind) -> Answer:
    if kind is WorkKind.UNTIL:
        return RoundDecided(rng.random() < 0.4)
    return GuardDecided(rng.random() < 0.25, "nothing to do")


def _fold(work: Work) -> Answer:
    if Random(f"typed {work.run} {work.step}").random() < BAD_FOLDS:
        return OutputInvalid(Failure("OUTPUT_INVALID", "The template renders no JSON.", cause=Cause.SCHEMA))
    return Folded(f"text {work.step}", f"findings {work.step}", FindingCounts(1, 0, 0), f"output {work.step}")


def _check(rng: Random, work: Work, run: Run | None) -> Answer:
    if rng.random() > (BAD_REPAIRS if _is_repair(work, run) else BAD_ANSWERS):
        return Checked(f"findings {work.attempt}", FindingCounts(1, 1, 1), f"output {work.attempt}")
    failure = Failure("OUTPUT_INVALID", "No finding can be read.", cause=Cause.SCHEMA)
    # Evidence alone is sent back once: a worker sees whether it was before.
    lacks_evidence = Random(f"usable {work.run} {work.step}").random() < LACKING_EVIDENCE
    usable = UsableAnswer(f"findings {work.attempt}", FindingCounts(0, 0, 2), f"output {work.attempt}")
    told = (f"repair {work.run} {work.step}", f"input {work.run} {work.step}")
    return OutputInvalid(failure, *told, usable if lacks_evidence and not _is_repair(work, run) else None)
