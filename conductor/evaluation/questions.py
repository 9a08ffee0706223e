"""Puts the core's questions to workers: a row for each kind says its lane, how it is asked, and how its answer is read.

The workers' side is in `tasks` and `kinds`, which this process does not load.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from conductor.core.folded.run import Run
from conductor.core.model.events.event_parts import FindingCounts, UsableAnswer, WorkspaceChanges
from conductor.core.model.inputs import Blob, WorkFinished
from conductor.core.model.states import Cause, Failure, FailureClass
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
from conductor.evaluation.gathering import Gathering
from conductor.evaluation.reports.run_facts import list_answering
from conductor.evaluation.sub_runs import plan_sub_run
from conductor.evaluation.workers import limits
from conductor.evaluation.workers.frames import Frame
from conductor.evaluation.workers.pool import Worker
from conductor.v1 import flow_service_pb2

EVALUATION_LIMIT = "EVALUATION_LIMIT"
OUTPUT_INVALID = "OUTPUT_INVALID"

Ask = Callable[[Gathering, Worker, Work], Awaitable[Frame]]
Read = Callable[[Frame, Sequence[str]], Answer]


class Pace(StrEnum):
    """The pace of an evaluation: how long it may take, and behind which others it waits."""

    QUICK = "quick"
    SLOW = "slow"
    REPORT = "reports"

    @property
    def seconds(self) -> float:
        """Returns how long an evaluation may take, on the wall clock."""
        return limits.QUICK_SECONDS if self is Pace.QUICK else limits.SLOW_SECONDS


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question. `read` gets the worker's frame and the digests of its attachments."""

    pace: Pace
    subject: str
    failure: str
    ask: Ask
    read: Read


async def ask_worker(gathering: Gathering, worker: Worker, work: Work) -> WorkFinished:
    """Puts a question to a worker, and returns its answer."""
    question = QUESTIONS[work.kind]
    frame = await question.ask(gathering, worker, work)
    blobs = tuple(Blob(hashlib.sha256(data).hexdigest(), data) if data else None for data in frame.attachments)
    digests = [blob.digest if blob else "" for blob in blobs]
    answer = _read_failure(work, frame, digests) if "failed" in frame.header else question.read(frame, digests)
    kept = {blob.digest: blob for blob in blobs if blob}
    return WorkFinished(WorkResult(work, answer), tuple(kept.values()))


def over_limit(work: Work, limit: str) -> WorkFinished:
    """Returns the answer where an evaluation hit a limit."""
    return _failed(work, EVALUATION_LIMIT, f"was stopped: {limit}", FailureClass.HUMAN_REQUIRED)


def broken(work: Work, why: str) -> WorkFinished:
    """Returns the answer where this service failed."""
    return _failed(work, QUESTIONS[work.kind].failure, f"could not be made: {why}", FailureClass.RECOVERABLE)


def _read_failure(work: Work, frame: Frame, digests: Sequence[str]) -> Answer:
    reason, message = frame.header["failed"]["reason"], frame.header["failed"]["message"]
    if reason == OUTPUT_INVALID:  # the agent's, which may do better: by a repair, or by `retries.schema`
        failure = Failure(reason, message, FailureClass.FATAL, work.step, Cause.SCHEMA)
        usable = UsableAnswer(digests[2], _counts(frame), digests[3]) if len(digests) > 2 else None
        prompt, told = (*digests, "", "")[:2]
        return OutputInvalid(failure, prompt, told, usable)
    return WorkFailed(Failure(reason, message, FailureClass.HUMAN_REQUIRED, work.step))


def _failed(work: Work, reason: str, what: str, kind: FailureClass) -> WorkFinished:
    words = QUESTIONS[work.kind].subject.format(step=work.step)
    failure = Failure(reason, f"{words[0].upper()}{words[1:]} {what}.", kind, work.step)
    return WorkFinished(WorkResult(work, WorkFailed(failure)))


def _step(task: str) -> Ask:
    async def ask(gathering: Gathering, worker: Worker, work: Work) -> Frame:
        frame = await gathering.for_step(await gathering.run(work.run), task, work.step)
        return await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)

    return ask


async def _ask_about_round(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    frame = await gathering.for_round(await gathering.run(work.run), "until", work.step, work.round)
    return await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)


async def _ask_to_gather(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    frame = await gathering.for_children(await gathering.run(work.run), "gather", work.step)
    return await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)


async def _ask_for_call(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    """Asks for the inputs of a called flow. The plan of the sub-run goes with the answer; its flow is in the bundle."""
    run = await gathering.run(work.run)
    answer = await worker.ask(await gathering.for_step(run, "call", work.step), QUESTIONS[work.kind].pace.seconds)
    if "failed" in answer.header:
        return answer
    bundle, inputs, data = answer.attachments
    flow = flow_service_pb2.Flow.FromString(data)
    digests = [hashlib.sha256(blob).hexdigest() for blob in (bundle, inputs)]
    plan = plan_sub_run(run, work.step, flow, answer.header, clocks=gathering.clocks, digests=digests)
    return Frame({"plan": plan}, (bundle, inputs))


async def _ask_to_fold(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    """Asks for a fold; again with the files that it cites, where places in it were not judged before."""
    run = await gathering.run(work.run)
    frame = await gathering.for_step(run, "fold", work.step)
    folded = await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)
    if "paths" in folded.header:
        frame = await gathering.with_files(run, frame, folded.header["paths"])
        folded = await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)
    return folded


async def _ask_to_collect(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    frame = await gathering.for_collecting(await gathering.run(work.run), work.step)
    return await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)


async def _ask_for_report(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    """Asks which files the answers of the run name, then for the report, which says whether those places exist."""
    run = await gathering.run(work.run)
    frame = await gathering.for_report(run)
    if _has_prose(frame):
        named = await worker.ask(replace(frame, header={**frame.header, "task": "places"}), limits.CHECK_SECONDS)
        frame = await gathering.with_files(run, frame, named.header["paths"])
    return await worker.ask(frame, QUESTIONS[work.kind].pace.seconds)


async def _ask_for_check(gathering: Gathering, worker: Worker, work: Work) -> Frame:
    """Asks which files a result cites, then whether its quotes stand in them; or how to ask for a repair of the result."""
    run = await gathering.run(work.run)
    result = await gathering.result_of(run, work.attempt)
    found = await worker.ask(await gathering.for_citing(run, work.step, result), limits.CHECK_SECONDS)
    if found.header.get("wants_answer"):
        found = await worker.ask(await gathering.for_extraction(run, work.step, work.attempt), limits.CHECK_SECONDS)
        if found.header.get("is_found"):
            (result,) = found.attachments
            found = await worker.ask(await gathering.for_citing(run, work.step, result), limits.CHECK_SECONDS)
    if found.header.get("is_cited"):
        frame = await gathering.for_check(run, work, result, found.header["paths"])
        found = await worker.ask(frame, limits.CHECK_SECONDS)
    elif "paths" in found.header:
        return Frame({}, (b"", result if found.header["is_typed"] else b""))
    if found.header.get("errors"):
        return await _ask_for_repair(gathering, worker, work, run, found)
    return found


async def _ask_for_repair(gathering: Gathering, worker: Worker, work: Work, run: Run, found: Frame) -> Frame:
    """Asks how to have an answer repaired. One that has its form, and lacks evidence only, is sent back unless one was before."""
    errors, is_usable = found.header["errors"], "failed" not in found.header
    if is_usable and run.steps[work.step].repair is not None:
        return found
    frame = await gathering.for_repair(run, work.step, work.attempt, errors, is_usable=is_usable)
    asked = await worker.ask(frame, limits.CHECK_SECONDS)
    if not is_usable:
        return replace(asked, header=found.header)
    if not asked.attachments:
        return found
    told = f"some of its evidence was not found: {'; '.join(errors)}"
    header = {**found.header, "failed": {"reason": OUTPUT_INVALID, "message": told}}
    return Frame(header, (*asked.attachments, *found.attachments))


def _has_prose(frame: Frame) -> bool:
    """Returns whether one of the last steps may have answered in prose: its text stands in the report."""
    return bool(list_answering(frame.header["facts"]["steps"], frame.header["documents"]))


def _counts(frame: Frame) -> FindingCounts:
    return FindingCounts(**frame.header.get("counts", {}))


def _read_report(frame: Frame, digests: Sequence[str]) -> Reported:
    told = frame.header["workspace_changes"]
    changes = WorkspaceChanges(told["count"], tuple(told["paths"]), told["note"]) if told else None
    return Reported(digests[0], digests[1], changes, digests[2])


def _read_guard(frame: Frame, _: Sequence[str]) -> GuardDecided:
    return GuardDecided(frame.header["skip"], frame.header["reason"])


def _read_items(frame: Frame, digests: Sequence[str]) -> ItemsFound:
    return ItemsFound(digests[0], frame.header["count"], frame.header["left_out"])


def _read_until(frame: Frame, _: Sequence[str]) -> RoundDecided:
    return RoundDecided(frame.header["is_done"])


def _read_prompt(frame: Frame, digests: Sequence[str]) -> PromptRendered:
    return PromptRendered(digests[0], tuple((name, value) for name, value in frame.header["parameters"]))


def _read_fold(frame: Frame, digests: Sequence[str]) -> Folded:
    text, findings, output = (*digests, "")[:3]
    return Folded(text, findings, _counts(frame), output)


def _read_shown(_: Frame, digests: Sequence[str]) -> Shown:
    return Shown(digests[0])


def _read_call(frame: Frame, _: Sequence[str]) -> SubRunPlanned:
    return SubRunPlanned(frame.header["plan"])


def _read_check(frame: Frame, digests: Sequence[str]) -> Checked:
    findings, output = (*digests, "")[:2]
    return Checked(findings, _counts(frame), output)


QUESTIONS: Mapping[WorkKind, Question] = {
    WorkKind.SKIP_GUARD: Question(Pace.QUICK, "skip_when of step {step}", "GUARD_FAILED", _step("guard"), _read_guard),
    WorkKind.ITEMS: Question(Pace.QUICK, "the items of step {step}", "GUARD_FAILED", _step("items"), _read_items),
    WorkKind.UNTIL: Question(Pace.QUICK, "until of step {step}", "GUARD_FAILED", _ask_about_round, _read_until),
    WorkKind.GATHER: Question(
        Pace.SLOW, "what the items of step {step} gave", "FOLD_FAILED", _ask_to_gather, _read_fold
    ),
    WorkKind.PROMPT: Question(
        Pace.QUICK, "the prompt of step {step}", "PROMPT_BUILD_FAILED", _step("prompt"), _read_prompt
    ),
    WorkKind.FOLD: Question(Pace.SLOW, "the fold of step {step}", "FOLD_FAILED", _ask_to_fold, _read_fold),
    WorkKind.SHOW: Question(Pace.QUICK, "'show' of gate {step}", "SHOW_FAILED", _step("show"), _read_shown),
    WorkKind.CHECK: Question(
        Pace.QUICK, "the check of what step {step} found", OUTPUT_INVALID, _ask_for_check, _read_check
    ),
    WorkKind.CALL: Question(Pace.QUICK, "the call of step {step}", "CALL_FAILED", _ask_for_call, _read_call),
    WorkKind.COLLECT: Question(
        Pace.SLOW, "what the sub-run of step {step} found", "CALL_FAILED", _ask_to_collect, _read_fold
    ),
    WorkKind.REPORT: Question(Pace.REPORT, "the report", "REPORT_FAILED", _ask_for_report, _read_report),
}
