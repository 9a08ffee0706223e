"""Events: facts that are stored before anything follows from them. State is events, folded.

Every event belongs to a run; the store gives it the run's next position and the time of its decision. Bodies above 4 KiB are
blobs, named by digest, and texts from outside are cut (see `truncation`). Only `RunCreated` may be larger (at most 200 steps), so
that folding needs no second read.
"""

from dataclasses import dataclass

from conductor.core.model.events.attempt_events import (
    AttemptCreated,
    AttemptEnded,
    AttemptStarted,
    InputRefused,
    RepairAsked,
    TurnChecked,
    TurnEnded,
)
from conductor.core.model.events.event_parts import FindingCounts, KeptResult, WorkspaceChanges
from conductor.core.model.events.gate_events import GateOpened, GateResolved, RunPaused, RunResumed, StepWaitsAtGate
from conductor.core.model.plan import RunPlan, StepPlan
from conductor.core.model.states import Failure, RunState, StepState, WaitKind
from conductor.core.model.trace import Trace


@dataclass(frozen=True, slots=True)
class RunCreated:
    """A run was accepted, with all its steps. Always at position 1.

    `kept` are the results that a retry has from the run that it retries, also those of children that are yet to be added.
    """

    plan: RunPlan
    request_id: str = ""
    request_digest: str = ""
    kept: tuple[KeptResult, ...] = ()
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first step began."""


@dataclass(frozen=True, slots=True)
class RunCancelRequested:
    """A caller asked the run to stop. `by` is its identity; empty in a sub-run, and in events of an earlier version."""

    reason: str
    request_id: str = ""
    request_digest: str = ""
    by: str = ""


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
