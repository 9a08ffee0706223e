"""The states of runs, steps and attempts, and every transition there is. An unlisted pair is an error.

How this grows, so that nothing has to move:

- Steps form a *tree*. Today every step hangs below the run; a `foreach`, `loop`, `panel`, sub-flow or script call will
  add children to a step while the run goes on (`StepsAdded`). A step's id is therefore unique in its run, names no
  position, and `StepPlan.parent` is already stored (empty now). A child begins while its parent is at work; a parent settles
  after its children (see `progress`). Waiting for them is a typed wait, not a state of its own.
- An *attempt* is one execution of one step by one agent; it may have several turns (a repair, a follow-up), numbered by
  its inputs. A repair keeps the attempt and passes VALIDATING -> REPAIRING -> VALIDATING.
- A *wait* has a kind (slot, host, agent, retry; later gate, budget, rate limit, children): it explains QUEUED, it is no state.
- A run that pauses is PAUSED with the kind of its wait; it remembers nothing else, because its steps do.

"Disconnected" is derived from the host's view and stored nowhere.
"""

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where a step stands."""

    EXCLUDED = "excluded"
    PENDING = "pending"
    READY = "ready"
    SKIPPED = "skipped"
    QUEUED = "queued"
    RUNNING = "running"
    VALIDATING = "validating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """Where an attempt stands.

    STARTING is stored together with its Start, before anything is sent (api.md's CREATED and STARTING are one: whether
    the host was asked already is not known after a crash, and must not matter).
    """

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    REFUSED = "refused"


RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.RUNNING: frozenset({RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

STEP_TRANSITIONS: Mapping[StepState, frozenset[StepState]] = {
    StepState.EXCLUDED: frozenset(),
    StepState.PENDING: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.READY: frozenset(
        {StepState.SKIPPED, StepState.QUEUED, StepState.RUNNING, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.SKIPPED: frozenset(),
    StepState.QUEUED: frozenset({StepState.RUNNING, StepState.FAILED, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {
            StepState.QUEUED,  # another attempt
            StepState.VALIDATING,
            StepState.SUCCEEDED,
            StepState.FAILED,
            StepState.CANCELLED,
        }
    ),
    StepState.VALIDATING: frozenset(
        {
            StepState.QUEUED,  # another attempt: its result was no good
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

# What lets a dependant begin. A failed step does so only when its plan says that the run goes on without it.
SATISFYING_STEP = frozenset({StepState.SUCCEEDED, StepState.SKIPPED, StepState.EXCLUDED})


class WaitKind(StrEnum):
    """What a queued step waits for."""

    SLOT = "slot"
    HOST = "host"
    AGENT = "agent"
    RETRY = "retry"


class IllegalTransitionError(Exception):
    """A state was asked to become one that its table does not list."""


def move_run(state: RunState, after: RunState) -> RunState:
    """Returns `after` where the table lists it; raises IllegalTransitionError otherwise."""
    if after not in RUN_TRANSITIONS[state]:
        raise IllegalTransitionError(f"a run cannot go from {state} to {after}")
    return after


def move_step(state: StepState, after: StepState) -> StepState:
    """Returns `after` where the table lists it; raises IllegalTransitionError otherwise."""
    if after not in STEP_TRANSITIONS[state]:
        raise IllegalTransitionError(f"a step cannot go from {state} to {after}")
    return after


def move_attempt(state: AttemptState, after: AttemptState) -> AttemptState:
    """Returns `after` where the table lists it; raises IllegalTransitionError otherwise."""
    if after not in ATTEMPT_TRANSITIONS[state]:
        raise IllegalTransitionError(f"an attempt cannot go from {state} to {after}")
    return after
