"""Retries: which failures of a step are followed by another attempt, and when. Keeps C5."""

from itertools import pairwise

import pytest

from conductor.core.decide.endings.guessing import guess_class
from conductor.core.decide.endings.retry import Retry, decide_retry
from conductor.core.folded.attempt import Attempt
from conductor.core.model.commands import StartExecution
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.inputs import AgentFinished, ExecutionRefused
from conductor.core.model.plan import AgentPlan, OnLost, RetryPlan, StepPlan
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass
from conductor.core.model.work import WorkFailed, WorkKind
from tests.conductor.core.bench import Bench, asks, folds

PLAN = AgentPlan(("survey",), max_attempts=20)


def ended(number: int, reason: str, state: AttemptState = AttemptState.FAILED, retry_after: float = 0.0) -> Attempt:
    """An attempt that ended so."""
    start = StartSpec(f"run-step-{number}", "survey", "prompt", "c" * 40, (), 60.0, 60.0)
    failure = Failure(reason, "", guess_class(reason)) if reason else None
    end = AttemptEnded("step", start.execution, state, failure, retry_after_seconds=retry_after)
    return Attempt(start.execution, number, "h1", "", start, 0.0, state, end=end)


def retry_after(plan: AgentPlan, *reasons: str, asked: float = 0.0) -> Retry | None:
    """Returns what follows these attempts."""
    attempts = [ended(number, reason, retry_after=asked) for number, reason in enumerate(reasons, 1)]
    last = attempts[-1].end.failure or Failure("OUTPUT_INVALID", "")
    return decide_retry(plan, attempts, last)


def step_with(**agent: object) -> StepPlan:
    return asks("step", agent=agent)


@pytest.mark.parametrize(
    "reason",
    [
        "HOST_LOST",
        "HOST_UNAVAILABLE",
        "HOST_STOPPED",
        "HOST_SETUP_INTERRUPTED",
        "HOST_SANDBOX_KILLED",
        "SHIM_LOST",
        "ORPHANED",
        "NO_CAPACITY",
        "CANCELLED",
    ],
)
def test_infrastructure_is_recoverable(reason: str) -> None:
    assert guess_class(reason) is FailureClass.RECOVERABLE


@pytest.mark.parametrize(
    "reason", ["AGENT_EXIT_NONZERO", "AGENT_KILLED", "EMPTY_OUTPUT", "STEP_TIMEOUT", "IDLE_TIMEOUT", "OUTPUT_TOO_LARGE"]
)
def test_an_agents_own_failure_is_not_tried_again(reason: str) -> None:
    assert guess_class(reason) is FailureClass.FATAL
    assert retry_after(PLAN, reason) is None


@pytest.mark.parametrize("reason", ["SANDBOX_REFUSED", "READ_ONLY_UNAVAILABLE", "AGENT_UNAVAILABLE", "AUTH_FAILED"])
def test_what_a_person_must_mend_says_so(reason: str) -> None:
    assert guess_class(reason) is FailureClass.HUMAN_REQUIRED


def test_pauses_grow_and_are_bounded_and_are_the_same_after_a_restart() -> None:
    made = [retry_after(PLAN, *["HOST_LOST"] * number) for number in range(1, 20)]
    pauses = [retry.pause for retry in made if retry is not None]

    assert all(earlier < later for earlier, later in pairwise(pauses[:6]))
    assert 0.75 <= pauses[0] <= 1.25
    assert max(pauses) <= 75.0
    assert retry_after(PLAN, "HOST_LOST") == made[0]


@pytest.mark.parametrize(
    ("plan", "reason", "retries"),
    [
        (RetryPlan(infrastructure=2), "SHIM_LOST", 2),
        (RetryPlan(rate_limit=3), "RATE_LIMITED", 3),
        (RetryPlan(hang=1), "IDLE_TIMEOUT", 1),
        (RetryPlan(hang=1), "FIRST_OUTPUT_TIMEOUT", 1),
        (RetryPlan(schema=2), "", 2),
        (RetryPlan(agent=1), "AGENT_EXIT_NONZERO", 1),
        (RetryPlan(agent=9, infrastructure=9), "AUTH_FAILED", 0),
    ],
)
def test_each_cause_has_its_own_number_of_retries(plan: RetryPlan, reason: str, retries: int) -> None:
    agent = AgentPlan(("survey",), max_attempts=20, retries=plan)
    made = [retry_after(agent, *[reason] * number) is not None for number in range(1, 12)]

    assert made == [True] * retries + [False] * (11 - retries)


def test_causes_are_counted_apart() -> None:
    agent = AgentPlan(("survey",), max_attempts=20, retries=RetryPlan(infrastructure=1, rate_limit=1, hang=1))

    assert retry_after(agent, "SHIM_LOST", "RATE_LIMITED", "IDLE_TIMEOUT") is not None
    assert retry_after(agent, "SHIM_LOST", "RATE_LIMITED", "SHIM_LOST") is None


def test_all_attempts_together_are_bounded() -> None:
    agent = AgentPlan(("survey",), max_attempts=3, retries=RetryPlan(infrastructure=9, rate_limit=9))

    assert retry_after(agent, "SHIM_LOST", "RATE_LIMITED") is not None
    assert retry_after(agent, "SHIM_LOST", "RATE_LIMITED", "SHIM_LOST") is None


def test_a_time_that_was_named_is_waited_for_up_to_six_hours() -> None:
    patient, forever = retry_after(PLAN, "RATE_LIMITED", asked=90.0), retry_after(PLAN, "RATE_LIMITED", asked=1e9)

    assert patient is not None
    assert forever is not None
    assert 90.0 < patient.pause < 92.0
    assert 6 * 3600 < forever.pause < 6 * 3600 + 2


def test_a_host_without_room_is_asked_rarely_and_counts_for_no_other_cause() -> None:
    capacity = [retry_after(PLAN, *["NO_CAPACITY"] * number) for number in range(1, 10)]
    pauses = [retry.pause for retry in capacity if retry is not None]

    assert len(pauses) == 9
    assert pauses[0] > 3.0
    assert sum(pauses) > 900.0
    assert retry_after(PLAN, *["NO_CAPACITY"] * 10) is None
    agent = AgentPlan(("survey",), max_attempts=20, retries=RetryPlan(infrastructure=1))
    assert retry_after(agent, "NO_CAPACITY", "NO_CAPACITY", "SHIM_LOST") is not None


def test_a_step_that_must_not_be_tried_again_when_it_is_lost_fails() -> None:
    """Keeps I4."""
    lost = [ended(1, "HOST_LOST", AttemptState.LOST)]
    failure = Failure("HOST_LOST", "", FailureClass.RECOVERABLE)

    assert decide_retry(PLAN, lost, failure) is not None
    assert decide_retry(AgentPlan(("survey",), on_lost=OnLost.FAIL), lost, failure) is None


def test_a_step_says_which_retry_follows_and_when_and_why() -> None:
    bench = Bench()
    bench.host()
    bench.launch(step_with(retries=RetryPlan(infrastructure=2)))
    bench.queue("step")

    bench.finish("step", "failed", "SHIM_LOST")

    wait = bench.step("step").wait
    assert wait is not None
    assert wait.kind == "retry"
    assert wait.text == "Retry 1 of 2 (infrastructure) follows after a pause: SHIM_LOST: The agent's end was: failed."
    assert wait.until == bench.step("step").not_before == bench.state.wake_at


@pytest.mark.parametrize(
    ("reason", "kind", "cause", "state"),
    [
        ("HOST_ODD", FailureClass.FATAL, Cause.AGENT, "failed"),
        ("EMPTY_OUTPUT", FailureClass.RECOVERABLE, Cause.INFRASTRUCTURE, "queued"),
        ("NEW_REASON", FailureClass.RECOVERABLE, Cause.RATE_LIMIT, "queued"),
        ("SHIM_LOST", FailureClass.HUMAN_REQUIRED, None, "failed"),
        ("HOST_ODD", None, None, "queued"),  # a host of f9ac01c
    ],
)
def test_what_a_host_says_of_a_failure_counts_and_its_reason_only_where_it_says_nothing(
    reason: str, kind: FailureClass | None, cause: Cause | None, state: str
) -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"), folds("other", "step"))
    bench.queue("step")

    bench.report(
        bench.attempt("step").id, 1, AgentFinished(AttemptState.FAILED, reason, "It is over.", kind=kind, cause=cause)
    )

    assert bench.states()["step"] == state
    failure = bench.attempt("step").end.failure
    assert failure is not None
    assert (failure.kind, failure.cause) == (kind or FailureClass.RECOVERABLE, cause)


def test_an_agent_whose_model_was_asked_too_fast_waits_as_long_as_the_model_said() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"))
    bench.queue("step")
    end = AgentFinished(AttemptState.FAILED, "RATE_LIMITED", "Too fast.", retry_after_seconds=40.0)

    bench.report(bench.attempt("step").id, 1, end)

    assert bench.states() == {"step": "queued"}
    assert bench.step("step").not_before > bench.now + 40
    bench.crash()
    assert bench.state.ongoing[bench.run.id].queue["step"].not_before == bench.step("step").not_before


def test_a_host_that_says_when_it_has_room_is_asked_then() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"))
    bench.queue("step")

    bench.take(
        ExecutionRefused(bench.attempt("step").id, "NO_CAPACITY", "full", retryable=True, retry_after_seconds=60.0)
    )

    assert bench.step("step").not_before > bench.now + 60


def test_a_bad_result_is_asked_for_again_where_the_plan_says_so() -> None:
    bench = Bench()
    bench.host()
    bench.launch(step_with(retries=RetryPlan(schema=1)))
    bench.queue("step")
    bad = WorkFailed(Failure("OUTPUT_INVALID", "no findings"))
    bench.finish("step")
    bench.answer(WorkKind.CHECK, "step", bad)
    assert bench.states() == {"step": "queued"}

    bench.wake()
    assert bench.sent(StartExecution) == ["step"]
    bench.finish("step")
    bench.answer(WorkKind.CHECK, "step", bad)

    assert bench.states() == {"step": "failed"}
    assert len(bench.step("step").attempts) == 2


def test_a_step_is_tried_as_often_as_its_plan_says_with_growing_pauses() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step", attempts=3))
    bench.queue("step")
    gaps = []
    for _ in range(2):
        bench.finish("step", "failed", "SHIM_LOST")
        ended = bench.now
        assert bench.state.wake_at == bench.step("step").not_before
        bench.wake()
        gaps.append(bench.attempt("step").create_time - ended)

    bench.finish("step", "failed", "SHIM_LOST")

    assert gaps[0] < gaps[1]
    assert bench.states() == {"step": "failed"}
    assert [attempt.number for attempt in bench.step("step").attempts] == [1, 2, 3]
    assert bench.step("step").failure is not None
    assert bench.step("step").failure.reason == "SHIM_LOST"


def test_a_fatal_failure_has_one_attempt() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"))
    bench.queue("step")

    bench.finish("step", "failed", "AGENT_EXIT_NONZERO")

    assert bench.states() == {"step": "failed"}
    assert len(bench.step("step").attempts) == 1


def test_another_host_is_preferred_after_a_failure() -> None:
    bench = Bench()
    bench.host("h1")
    bench.launch(asks("step"))
    bench.queue("step")
    bench.host("h2", 1)

    bench.finish("step", "failed", "SHIM_LOST")
    bench.wake()

    assert [attempt.host for attempt in bench.step("step").attempts] == ["h1", "h2"]
