"""What workers answer, as the core's answers with their blobs. Pure."""

import hashlib

from conductor.core.model.events import Failure, FindingCounts, WorkspaceChanges
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
from conductor.errors import FlowProblem
from conductor.evaluation.workers.frames import Frame
from conductor.flows.checks.judgement import Judgement
from conductor.v1 import flow_service_pb2

EVALUATION_LIMIT = "EVALUATION_LIMIT"
_REASONS = {
    WorkKind.SKIP_GUARD: "GUARD_FAILED",
    WorkKind.PROMPT: "PROMPT_BUILD_FAILED",
    WorkKind.FOLD: "FOLD_FAILED",
    WorkKind.CHECK: "OUTPUT_INVALID",
    WorkKind.REPORT: "REPORT_FAILED",
}
_WORDS = {
    WorkKind.SKIP_GUARD: "skip_when of step {step}",
    WorkKind.PROMPT: "the prompt of step {step}",
    WorkKind.FOLD: "the fold of step {step}",
    WorkKind.CHECK: "the check of what step {step} found",
    WorkKind.REPORT: "the report",
}


def finished(work: Work, frame: Frame) -> WorkFinished:
    """The answer to a question, with what it names."""
    if failed := frame.header.get("failed"):
        failure = Failure(failed["reason"], failed["message"], "HUMAN_REQUIRED", work.step)
        return WorkFinished(WorkResult(work, WorkFailed(failure)))
    blobs = tuple(Blob(hashlib.sha256(data).hexdigest(), data) if data else None for data in frame.attachments)
    digests = [blob.digest if blob else "" for blob in blobs]
    return WorkFinished(WorkResult(work, _answer(work, frame, digests)), tuple(blob for blob in blobs if blob))


def over_limit(work: Work, limit: str) -> WorkFinished:
    """The answer where an evaluation hit a limit."""
    return _failed(work, EVALUATION_LIMIT, f"was stopped: {limit}", "HUMAN_REQUIRED")


def broken(work: Work, why: str) -> WorkFinished:
    """The answer where ours broke."""
    return _failed(work, _REASONS[work.kind], f"could not be made: {why}", "RECOVERABLE")


def read_judgement(frame: Frame) -> Judgement:
    """What became of a flow."""
    problems = tuple(FlowProblem(*problem) for problem in frame.header["problems"])
    flow = None if problems else flow_service_pb2.Flow.FromString(frame.attachments[0])
    return Judgement(flow, problems)


def _answer(work: Work, frame: Frame, digests: list[str]) -> Answer:
    counts = FindingCounts(**frame.header.get("counts", {}))
    match work.kind:
        case WorkKind.SKIP_GUARD:
            return GuardDecided(frame.header["skip"], frame.header["reason"])
        case WorkKind.PROMPT:
            return PromptRendered(digests[0])
        case WorkKind.FOLD:
            return Folded(digests[0], digests[1], counts)
        case WorkKind.CHECK:
            return Checked(digests[0], counts)
        case WorkKind.REPORT:
            return Reported(digests[0], digests[1], _workspace_changes(frame))


def _workspace_changes(frame: Frame) -> WorkspaceChanges | None:
    told = frame.header["workspace_changes"]
    return WorkspaceChanges(told["count"], tuple(told["paths"]), told["note"]) if told else None


def _failed(work: Work, reason: str, what: str, kind: str) -> WorkFinished:
    words = _WORDS[work.kind].format(step=work.step)
    failure = Failure(reason, f"{words[0].upper()}{words[1:]} {what}.", kind, work.step)
    return WorkFinished(WorkResult(work, WorkFailed(failure)))
