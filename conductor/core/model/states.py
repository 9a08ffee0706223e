"""The states of runs, steps, attempts and gates, every transition that there is, and failures.

- A transition that is not listed is an error.
- Steps form a *tree*. Today every step is a child of the run. `foreach` and `loop` will add children to a step while the run goes
  on (`StepsAdded`), with ids that are paths (see `step_path`). A child begins while its parent is running, and a parent settles
  after its children (see `settling`).
- An *attempt* is one execution of one step by one agent.
- A *wait* explains QUEUED; it is not a state.

"Disconnected" is derived from the host's view and stored nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """The states of a step."""

    EXCLUDED = "excluded"
    PENDING = "pending"
    READY = "ready"
    SKIPPED = "skipped"
    QUEUED = "queued"
    RUNNING = "running"
    VALIDATING = "validating"
    WAITING_GATE = "waiting_gate"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """The states of an attempt.

    STARTING is stored together with its Start, before anything is sent. So a crash cannot tell whether the host was asked, and
    it does not matter.
    """

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    REFUSED = "refused"


class GateState(StrEnum):
    """The states of a gate."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # its step ended without a decision


class GateDecision(StrEnum):
    """The decisions about a gate."""

    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"
    RETRY = "retry"
    SKIP = "skip"


class GateCause(StrEnum):
    """Says why a gate opened."""

    FLOW = "flow"  # the step is a gate
    FAILURE = "failure"  # the step failed
    INVALID = "invalid"  # its answer has the wrong form, also after its repair


class PauseCause(StrEnum):
    """Says what a paused run waits for."""

    GATE = "gate"
    OPERATOR = "operator"


class FailureClass(StrEnum):
    """Says who can help: time, a person, or neither."""

    RECOVERABLE = "RECOVERABLE"
    HUMAN_REQUIRED = "HUMAN_REQUIRED"
    FATAL = "FATAL"


class Cause(StrEnum):
    """Says what kind of trouble ended an attempt. Each has its own number of retries."""

    INFRASTRUCTURE = "infrastructure"
    CAPACITY = "capacity"
    RATE_LIMIT = "rate limit"
    HANG = "hang"
    SCHEMA = "schema"
    AGENT = "agent"


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


RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset(
        {RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED}
    ),
    RunState.RUNNING: frozenset({RunState.PAUSED, RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.PAUSED: frozenset(
        {
            RunState.QUEUED,  # held before its first step began
            RunState.RUNNING,
            RunState.PAUSED,  # one of two causes is over
            RunState.CANCELLING,
            RunState.SUCCEEDED,
            RunState.FAILED,
        }
    ),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

STEP_TRANSITIONS: Mapping[StepState, frozenset[StepState]] = {
    StepState.EXCLUDED: frozenset(),
    # Besides READY: the end of a step that is reused (see `StepReused`).
    StepState.PENDING: frozenset(
        {StepState.READY, StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED}
    ),
    StepState.READY: frozenset(
        {
            StepState.SKIPPED,
            StepState.QUEUED,
            StepState.RUNNING,
            StepState.WAITING_GATE,
            StepState.FAILED,
            StepState.CANCELLED,
        }
    ),
    StepState.SKIPPED: frozenset(),
    StepState.QUEUED: frozenset({StepState.RUNNING, StepState.WAITING_GATE, StepState.FAILED, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {
            StepState.QUEUED,  # another attempt
            StepState.VALIDATING,
            StepState.WAITING_GATE,
            StepState.SUCCEEDED,
            StepState.FAILED,
            StepState.CANCELLED,
        }
    ),
    StepState.VALIDATING: frozenset(
        {
            StepState.QUEUED,  # another attempt: its result was invalid
            StepState.WAITING_GATE,
            StepState.SUCCEEDED,
            StepState.FAILED,
            StepState.CANCELLED,
        }
    ),
    StepState.WAITING_GATE: frozenset(
        {
            StepState.READY,  # it is tried again
            StepState.SKIPPED,
            StepState.SUCCEEDED,
            StepState.FAILED,
            StepState.CANCELLED,
        }
    ),
    StepState.SUCCEEDED: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
}

_ENDS = frozenset(
    {
        AttemptState.SUCCEEDED,
        AttemptState.FAILED,
        AttemptState.CANCELLED,
        AttemptState.TIMED_OUT,
        AttemptState.LOST,
        AttemptState.REFUSED,
    }
)

ATTEMPT_TRANSITIONS: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.STARTING: frozenset({AttemptState.RUNNING}) | _ENDS,
    AttemptState.RUNNING: _ENDS,
    **{end: frozenset[AttemptState]() for end in _ENDS},
}

SETTLED_RUN = frozenset(state for state, after in RUN_TRANSITIONS.items() if not after)
SETTLED_STEP = frozenset(state for state, after in STEP_TRANSITIONS.items() if not after)
SETTLED_ATTEMPT = frozenset(state for state, after in ATTEMPT_TRANSITIONS.items() if not after)

# States that let a dependant begin. A failed step does too, where its plan says that the run goes on without it.
SATISFYING_STEP = frozenset({StepState.SUCCEEDED, StepState.SKIPPED, StepState.EXCLUDED})


class WaitKind(StrEnum):
    """The kinds of waits of a queued step."""

    SLOT = "slot"
    HOST = "host"
    AGENT = "agent"
    POOL = "pool"
    PARKED = "parked"
    RETRY = "retry"
    LIMIT = "limit"
    GATE = "gate"  # of a sub-run; it is derived, and in no event


class IllegalTransitionError(Exception):
    """The table of states does not list this transition."""


def move_run(state: RunState, after: RunState) -> RunState:
    """Returns `after`; raises IllegalTransitionError where the table does not list it."""
    if after not in RUN_TRANSITIONS[state]:
        raise IllegalTransitionError(f"a run cannot go from {state} to {after}")
    return after


def move_step(state: StepState, after: StepState) -> StepState:
    """Returns `after`; raises IllegalTransitionError where the table does not list it."""
    if after not in STEP_TRANSITIONS[state]:
        raise IllegalTransitionError(f"a step cannot go from {state} to {after}")
    return after


def move_attempt(state: AttemptState, after: AttemptState) -> AttemptState:
    """Returns `after`; raises IllegalTransitionError where the table does not list it."""
    if after not in ATTEMPT_TRANSITIONS[state]:
        raise IllegalTransitionError(f"an attempt cannot go from {state} to {after}")
    return after
