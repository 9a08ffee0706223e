"""Events: facts that are stored before anything follows from them. State is events, folded.

Every event belongs to a run; the store gives it the run's next position and the time of its decision. Bodies above 4 KiB are
blobs, named by digest, and texts from outside are cut (see `truncation`). Only `RunCreated` may be larger (at most 200 steps), so
that folding needs no second read.
"""

from dataclasses import dataclass

from conductor.core.model.gate_events import GateOpened, GateResolved, RunPaused, RunResumed, StepWaitsAtGate
from conductor.core.model.plan import RunPlan, StepPlan
from conductor.core.model.states import AttemptState, Failure, RunState, StepState, WaitKind


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """Counts of findings, by how their citations were judged."""

    verified: int = 0
    moved: int = 0
    missing: int = 0
    unread: int = 0  # answers that should hold findings, and hold none that can be read
    placed: int = 0  # a tool's, which name a place and quote nothing

    @property
    def total(self) -> int:
        """Returns the number of findings."""
        return self.verified + self.moved + self.placed + self.missing


@dataclass(frozen=True, slots=True)
class Confinement:
    """The confinement of an attempt, as its host proved it."""

    mechanism: str = ""
    policy_digest: str = ""
    argv: tuple[str, ...] = ()
    uid: int = 0
    snapshot_fingerprint_before: str = ""
    snapshot_fingerprint_after: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelUse:
    """An attempt's requests to its model, as its host's gateway counted them. `statuses` pairs each status with its number."""

    model: str = ""  # the name that the endpoint gave with its last answer
    requests: int = 0
    refused: int = 0
    broken: int = 0
    metered: int = 0
    rate_limited: int = 0
    statuses: tuple[tuple[int, int], ...] = ()
    kept_back: tuple[str, ...] = ()  # fields, headers, parameters and tools that were not passed on


@dataclass(frozen=True, slots=True)
class StartSpec:
    """The request to a host: the serialized Start is a pure function of this and of the prompt's blob."""

    execution: str
    agent: str
    prompt: str  # digest of a blob
    snapshot: str
    parameters: tuple[tuple[str, str], ...]
    timeout_seconds: float
    idle_timeout_seconds: float
    # 0 leaves it to the host. Starts of an earlier version did, and are sent again byte for byte.
    first_output_timeout_seconds: float = 0.0
    orphan_timeout_seconds: float = 0.0
    turns: int = 0  # the most turns that the attempt may take; 0: it answers once and ends
    # How much longer the first output may take because the model must be loaded first; 0 where it is loaded.
    loading_timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class KeptResult:
    """The end of a step of an earlier run, copied whole into the run that retries it: the earlier run may be deleted.

    Digests of blobs: `text` (its beginning, where `text_bytes` is more), `findings`, `output`.
    `run` and `attempt` name where it was made, with `agent`, `host` and `model`. `item` is that of a child (see `StepPlan`).
    """

    step: str
    run: str
    state: StepState
    item: str = ""
    began: bool = False
    text: str = ""
    text_bytes: int = 0
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""
    reason: str = ""
    failure: Failure | None = None
    is_dispensable: bool = False  # whether its run went on without it
    repair: str = ""  # what was wrong with an answer that was repaired
    attempt: str = ""
    attempts: int = 0  # how many it took
    agent: str = ""
    host: str = ""
    model: str = ""
    answer_truncated: bool = False
    answer_note: str = ""
    confinement: Confinement | None = None


@dataclass(frozen=True, slots=True)
class RunCreated:
    """A run was accepted, with all its steps. Always at position 1.

    `kept` are the results that a retry has from the run that it retries, also those of children that are yet to be added.
    """

    plan: RunPlan
    request_id: str = ""
    request_digest: str = ""
    kept: tuple[KeptResult, ...] = ()


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first step began."""


@dataclass(frozen=True, slots=True)
class RunCancelRequested:
    """A caller asked the run to stop."""

    reason: str
    request_id: str = ""
    request_digest: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceChanges:
    """The user's tree at the end of a run, compared with what was pinned.

    `count` paths differ, and some of them are named. `note` says why that is not known, or not for every path.
    """

    count: int = 0
    paths: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """The run took longer than its timeout, and stops."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class RunReported:
    """The report was rendered. Digests of blobs: Markdown, JSON, and the outputs that the flow declares, if it does.

    `workspace_changes` is what the report says of the user's tree; None where the run read a commit.
    """

    markdown: str
    json: str
    workspace_changes: WorkspaceChanges | None = None
    outputs: str = ""


@dataclass(frozen=True, slots=True)
class RunSettled:
    """The run ended. Always the last event."""

    state: RunState
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class StepsAdded:
    """The steps of one item or round were added below a running step. The ids of all begin with the same `parent.index`."""

    steps: tuple[StepPlan, ...]


@dataclass(frozen=True, slots=True)
class StepReused:
    """A step ended at once, as it ended in the run that this one retries (see `RunCreated.kept`)."""

    step: str
    state: StepState
    findings: str = ""
    counts: FindingCounts = FindingCounts()


@dataclass(frozen=True, slots=True)
class ItemsListed:
    """The items of a step are known. `items` is the digest of a blob that holds one a line, as JSON; `left_out` were too many."""

    step: str
    items: str
    count: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class RoundJudged:
    """A round of a loop was judged: the loop is done, or another round may follow."""

    step: str
    round: int
    is_done: bool


@dataclass(frozen=True, slots=True)
class StepBecameReady:
    """A step has what it needs. `gate` is the number of the gate where a person had it tried again; 0 the first time."""

    step: str
    gate: int = 0


@dataclass(frozen=True, slots=True)
class StepGuardPassed:
    """The guard of a ready step did not skip it. Earlier versions did not store this: there the guard is asked again."""

    step: str


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """The guard of a ready step skipped it."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepQueued:
    """A step waits for a place. `prompt` is the digest of its prompt, which every attempt gets.

    `parameters` are the plan's with its model, as they were rendered; empty where none of them is a template.
    """

    step: str
    prompt: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StepWaits:
    """A queued step waits for something else than before. `pool` names the pool whose slot it waits for."""

    step: str
    kind: WaitKind
    text: str
    pool: str = ""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step that needs no agent began."""

    step: str


@dataclass(frozen=True, slots=True)
class SubRunStarted:
    """A step's sub-run was created, in the same decision."""

    step: str
    run: str


@dataclass(frozen=True, slots=True)
class SubRunEnded:
    """A step's sub-run ended. `steps` is the number of its steps, with those of its own sub-runs."""

    step: str
    run: str
    state: RunState
    steps: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class AttemptCreated:
    """An attempt was decided, and its step runs. The Start is made from this, now and after every crash.

    `start.parameters` are left out: they are the plan's. `pool` is the pool of model slots that it takes one of, for `model`; empty
    where its agent asks no model, and in rows of earlier versions.
    """

    step: str
    attempt: str
    number: int
    host: str
    placement_reason: str
    start: StartSpec
    instance: str = ""  # of the host, where it has told one
    pool: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The agent runs, confined and verified."""

    step: str
    attempt: str
    confinement: Confinement


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """An agent that may take further turns ended one, and waits. Turns of an attempt are numbered from 1.

    Its answer is the bytes `answer_start` to `answer_end` of the attempt's answer, its `result` the digest of a blob. Tokens are
    totals of the attempt. `reason` says why the turn failed; empty where it did not.
    """

    step: str
    attempt: str
    turn: int
    answer_start: int
    answer_end: int
    result: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TurnChecked:
    """The answer of a turn was checked: `failure` says what is wrong with it, else `findings` and `output` (digests) count."""

    step: str
    attempt: str
    turn: int
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    failure: Failure | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class UsableAnswer:
    """An answer that has its form, though some of its evidence was not found. Digests of blobs: its findings and its output."""

    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""


@dataclass(frozen=True, slots=True)
class RepairAsked:
    """The agent is asked, once in the life of its step, to repair the answer of a turn (0: of an attempt without turns).

    Digests of blobs: `input` is for the agent that waits for it, `prompt` for a new attempt, which is shown the former answer.
    `usable` is that answer, where it counts as long as no better one comes.
    """

    step: str
    attempt: str
    turn: int
    prompt: str
    input: str
    failure: Failure
    usable: UsableAnswer | None = None


@dataclass(frozen=True, slots=True)
class InputRefused:
    """An agent could not be given the input that follows a turn."""

    step: str
    attempt: str
    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt ended. `result` is the digest of its structured result; empty where there is none.

    `last_sequence` is the last frame that counts. `retry` decides whether another attempt follows.
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
    answer_start: int = 0  # bytes of the answer before it are void: the agent sent it again
    result: str = ""
    confinement: Confinement | None = None
    last_sequence: int = 0
    retry_after_seconds: float = 0.0  # how long the model's endpoint or the host asked to wait
    model_use: ModelUse | None = None
    answer_note: str = ""  # why the answer is not whole


@dataclass(frozen=True, slots=True)
class StepRequeued:
    """Another attempt will be made, not before `not_before` (seconds of the engine's clock)."""

    step: str
    failure: Failure
    not_before: float
    # Which retry this is, and of how many, among those for this cause.
    cause: str = ""
    retry: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class StepValidating:
    """A step's result is being checked."""

    step: str


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """A step ended well. Digests of blobs.

    `text` is a fold's (an agent's text is its transcript), `findings` were checked, and `output` is JSON that has the form of the
    step; empty where it has none.
    """

    step: str
    text: str = ""
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step ended badly."""

    step: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class StepCancelled:
    """A step was stopped, or never began."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """A host reported on an attempt that had ended. It has no effect."""

    step: str
    attempt: str
    what: str


@dataclass(frozen=True, slots=True)
class FindingChecked:
    """A finding was judged. `findings` is the digest of the document that holds it, `number` its place there, from 0.

    There is one event for each finding, so that each has a position, and a watcher that comes back gets each once.
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
    | StepReused
    | ItemsListed
    | RoundJudged
    | StepBecameReady
    | StepGuardPassed
    | StepSkipped
    | StepQueued
    | StepWaits
    | StepStarted
    | SubRunStarted
    | SubRunEnded
    | AttemptCreated
    | AttemptStarted
    | TurnEnded
    | TurnChecked
    | RepairAsked
    | InputRefused
    | AttemptEnded
    | StepRequeued
    | StepValidating
    | StepSucceeded
    | StepFailed
    | StepCancelled
    | ReportRefused
    | FindingChecked
    | GateOpened
    | StepWaitsAtGate
    | GateResolved
    | RunPaused
    | RunResumed
)
