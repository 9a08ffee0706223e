"""What happened: facts, stored before anything is done about them. State is nothing but these, folded.

Every event belongs to a run; the store gives it the run's next position and the time of its decision. Bodies above 4 KiB
are blobs, named by digest, and texts from outside are cut (see `truncation`). `RunCreated` may be larger (steps are capped at
200): folding must not need a second read.
"""

from dataclasses import dataclass

from conductor.core.model.failure import Cause, FailureClass
from conductor.core.model.plan import RunPlan, StepPlan
from conductor.core.model.states import AttemptState, RunState, WaitKind


@dataclass(frozen=True, slots=True)
class Failure:
    """Says why something ended badly. `kind` is the class (`class` in the protos).

    `cause` is None where the failure is no attempt's, where a person must act, and in rows of f9ac01c.
    """

    reason: str
    message: str
    kind: FailureClass = FailureClass.FATAL
    step: str = ""
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """How citations were judged."""

    verified: int = 0
    moved: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Confinement:
    """How an attempt was confined, as its host proved it."""

    mechanism: str = ""
    policy_digest: str = ""
    argv: tuple[str, ...] = ()
    uid: int = 0
    snapshot_fingerprint_before: str = ""
    snapshot_fingerprint_after: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartSpec:
    """Exactly what the host is asked: the serialized Start is a pure function of this and of the prompt's blob."""

    execution: str
    agent: str
    prompt: str  # digest of a blob
    snapshot: str
    parameters: tuple[tuple[str, str], ...]
    timeout_seconds: float
    idle_timeout_seconds: float
    # 0 leaves it to the host, as Starts of an earlier version did: they are sent again byte for byte.
    first_output_timeout_seconds: float = 0.0
    orphan_timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunCreated:
    """A run was accepted, with its whole roster. Always position 1."""

    plan: RunPlan
    request_id: str = ""
    request_digest: str = ""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first step began."""


@dataclass(frozen=True, slots=True)
class RunCancelRequested:
    """Somebody asked the run to stop."""

    reason: str
    request_id: str = ""
    request_digest: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceChanges:
    """What of the user's own tree was no longer as it was pinned, at the end of a run.

    `count` paths differ, some of which are named; `note` says why that is not known, or not of every path.
    """

    count: int = 0
    paths: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """The run took longer than it may, and stops."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class RunReported:
    """The report was rendered. Digests of blobs: Markdown and JSON.

    `workspace_changes` is what the report tells of the user's tree; None where the run read a commit and no tree.
    """

    markdown: str
    json: str
    workspace_changes: WorkspaceChanges | None = None


@dataclass(frozen=True, slots=True)
class RunSettled:
    """The run ended. Always the last."""

    state: RunState
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class StepsAdded:
    """The tree of steps grew below a step that is at work (see `states`). Their `parent` names steps that exist."""

    steps: tuple[StepPlan, ...]


@dataclass(frozen=True, slots=True)
class StepBecameReady:
    """A step has what it needs."""

    step: str


@dataclass(frozen=True, slots=True)
class StepGuardPassed:
    """A ready step's guard let it pass. Rows of an earlier version lack it: there the guard is asked again."""

    step: str


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """A step's guard said no."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepQueued:
    """A step waits for a place. `prompt` is the digest of its prompt, kept for every attempt."""

    step: str
    prompt: str


@dataclass(frozen=True, slots=True)
class StepWaits:
    """A queued step waits for something else than before."""

    step: str
    kind: WaitKind
    text: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step that needs no agent began."""

    step: str


@dataclass(frozen=True, slots=True)
class AttemptCreated:
    """An attempt was decided; its step runs. This is what a Start is made from, now and after every crash.

    `start.parameters` are the plan's, and left out.
    """

    step: str
    attempt: str
    number: int
    host: str
    placement_reason: str
    start: StartSpec
    instance: str = ""  # of the host, where it told one


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The agent runs, confined and verified."""

    step: str
    attempt: str
    confinement: Confinement


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt ended. `result` is the digest of its structured result, empty where it gave none.

    Whether another attempt is made is `retry`'s to say. `last_sequence` is the last frame that counts.
    """

    step: str
    attempt: str
    state: AttemptState
    failure: Failure | None = None
    exit_code: int | None = None
    signal: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None
    denial_count: int = 0
    answer_truncated: bool = False
    result: str = ""
    confinement: Confinement | None = None
    last_sequence: int = 0
    retry_after_seconds: float = 0.0  # how long whoever refused asked to wait


@dataclass(frozen=True, slots=True)
class StepRequeued:
    """Another attempt will be made, not before `not_before` (seconds of the engine's clock)."""

    step: str
    failure: Failure
    not_before: float
    # Which retry of how many this is, among those for trouble of this cause.
    cause: str = ""
    retry: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class StepValidating:
    """A step's result is being checked."""

    step: str


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """A step ended well. Digests of blobs: `text` (folds only; an agent's text is its transcript), `findings` (checked)."""

    step: str
    text: str = ""
    findings: str = ""
    counts: FindingCounts = FindingCounts()


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step ended badly."""

    step: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class StepCancelled:
    """A step was stopped, or never came to run."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """Something came from a host for an attempt that had ended: recorded, and without effect."""

    step: str
    attempt: str
    what: str


@dataclass(frozen=True, slots=True)
class FindingChecked:
    """A finding was judged; `findings` is the digest of the document that holds it, `number` its place there, from 0.

    One event a finding, so that each has a position, and a watcher who comes back gets each once.
    """

    step: str
    findings: str
    number: int


Event = (
    RunCreated
    | RunStarted
    | RunCancelRequested
    | RunTimedOut
    | RunReported
    | RunSettled
    | StepsAdded
    | StepBecameReady
    | StepGuardPassed
    | StepSkipped
    | StepQueued
    | StepWaits
    | StepStarted
    | AttemptCreated
    | AttemptStarted
    | AttemptEnded
    | StepRequeued
    | StepValidating
    | StepSucceeded
    | StepFailed
    | StepCancelled
    | ReportRefused
    | FindingChecked
)
