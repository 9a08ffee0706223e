"""Decides whether a step is tried again, and when, by the cause of what ended its attempt.

The rules, before the code:

- Each cause has its own number of retries in the step's plan, counted apart: a lost host does not use up the retries of an
  overloaded model. All attempts together are bounded as well, those aside that parked the pool of their model: the pool waits for
  the time that the endpoint named, and they cost no attempt.
- Trouble of infrastructure and of a model that was asked too fast is retried by default. An agent's own failure, a hang or a bad
  result is not, unless the plan says so: the same prompt to the same agent mostly fails again, and its output is worth reading.
- A failure that a person must mend is never retried.
- Pauses double with each failure of the same cause. A host without room is asked more rarely: its refusals say nothing about the
  step, and would use its attempts up in seconds. A host or an endpoint that named a time to wait is not asked before that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from conductor.core.decide.endings.guessing import guess_cause
from conductor.core.folded.attempt import Attempt
from conductor.core.model.plan import AgentPlan, OnLost, RetryPlan
from conductor.core.model.states import AttemptState, Cause, Failure

# Pauses lie between 75 and 125 per cent of their middle: never in step, yet each longer than the one before it.
SPREAD = 0.5
CAPACITY_RETRIES = 9
FIRST_CAPACITY_PAUSE_SECONDS = 5.0
LONGEST_CAPACITY_PAUSE_SECONDS = 300.0
LONGEST_RETRY_AFTER_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Describes the next attempt: its cause, its pause in seconds, and its number among those of its cause."""

    cause: Cause
    pause: float
    number: int
    most: int


def find_cause(failure: Failure) -> Cause | None:
    """Returns what kind of trouble ended an attempt; None where a person must act first."""
    return failure.cause or guess_cause(failure)


def decide_retry(plan: AgentPlan, attempts: Sequence[Attempt], failure: Failure) -> Retry | None:
    """Returns the next attempt of a step whose last attempt ended so; None where there is to be none.

    `failure` is the last attempt's, or says what was wrong with the result of one that succeeded.
    """
    last = attempts[-1]
    cause = find_cause(failure)
    if cause is None or sum(not has_parked(attempt) for attempt in attempts) >= plan.max_attempts:
        return None
    if last.state is AttemptState.LOST and plan.on_lost is OnLost.FAIL:
        return None
    number = 1 + sum(_find_cause_of(attempt) is cause for attempt in attempts[:-1])
    most = _most_retries(plan, cause)
    if number > most:
        return None
    pause = 0.0 if has_parked(last) else _pause(plan.retries, cause, number, last)
    return Retry(cause, pause, number, most)


def has_parked(attempt: Attempt) -> bool:
    """Returns whether an attempt parked the pool of its model when it ended."""
    return bool(attempt.pool and attempt.end.failure and find_cause(attempt.end.failure) is Cause.RATE_LIMIT)


def _find_cause_of(attempt: Attempt) -> Cause | None:
    # An earlier attempt that ended well had an answer of the wrong form.
    return Cause.SCHEMA if attempt.end.failure is None or attempt.ended_well else find_cause(attempt.end.failure)


def _most_retries(plan: AgentPlan, cause: Cause) -> int:
    retries = plan.retries
    match cause:
        case Cause.INFRASTRUCTURE:
            return plan.max_attempts - 1 if retries.infrastructure is None else retries.infrastructure
        case Cause.CAPACITY:
            return CAPACITY_RETRIES
        case Cause.RATE_LIMIT:
            return retries.rate_limit
        case Cause.HANG:
            return retries.hang
        case Cause.SCHEMA:
            return retries.schema
        case Cause.AGENT:
            return retries.agent


def _pause(retries: RetryPlan, cause: Cause, number: int, last: Attempt) -> float:
    first, longest = retries.first_pause_seconds, retries.longest_pause_seconds
    if cause is Cause.CAPACITY:
        first, longest = FIRST_CAPACITY_PAUSE_SECONDS, LONGEST_CAPACITY_PAUSE_SECONDS
    # Spread by the id, which is unlike any other and the same after every restart: no randomness is needed.
    spread = 1 - SPREAD / 2 + SPREAD * crc32(last.id.encode()) / 2**32
    asked = min(last.end.retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)
    pause = min(first * 2.0 ** (number - 1), longest) * spread
    # Never before the time that the endpoint named, and not all steps at that very time.
    return max(pause, asked + min(asked, first) * spread)
