"""Whether and when a step is tried again."""

from itertools import pairwise

import pytest

from conductor.core.events import Failure
from conductor.core.plan import AgentPlan
from conductor.core.retry import classify, pause_before_retry
from tests.conductor.core.bench import Bench, asks

PLAN = AgentPlan(("survey",), max_attempts=20)


@pytest.mark.parametrize(
    "reason", ["HOST_LOST", "HOST_UNAVAILABLE", "SHIM_LOST", "ORPHANED", "NO_CAPACITY", "CANCELLED"]
)
def test_infrastructure_is_recoverable(reason: str) -> None:
    assert classify(reason) == "RECOVERABLE"


@pytest.mark.parametrize(
    "reason", ["AGENT_EXIT_NONZERO", "AGENT_KILLED", "EMPTY_OUTPUT", "STEP_TIMEOUT", "IDLE_TIMEOUT", "OUTPUT_TOO_LARGE"]
)
def test_an_agents_own_failure_is_not_tried_again(reason: str) -> None:
    assert classify(reason) == "FATAL"
    assert pause_before_retry(Failure(reason, "", "FATAL"), PLAN, 1, "a") is None


@pytest.mark.parametrize("reason", ["SANDBOX_REFUSED", "READ_ONLY_UNAVAILABLE", "AGENT_UNAVAILABLE", "AUTH_FAILED"])
def test_what_a_person_must_mend_says_so(reason: str) -> None:
    assert classify(reason) == "HUMAN_REQUIRED"


def test_pauses_grow_and_are_bounded_and_are_the_same_after_a_restart() -> None:
    failure = Failure("HOST_LOST", "", "RECOVERABLE")
    pauses = [pause_before_retry(failure, PLAN, number, f"run-step-{number}") or 0.0 for number in range(1, 7)]

    assert all(earlier < later for earlier, later in pairwise(pauses))
    assert 0.75 <= pauses[0] <= 1.25
    assert pause_before_retry(failure, PLAN, 19, "x") <= 75.0  # type: ignore[operator]
    assert pause_before_retry(failure, PLAN, 1, "run-step-1") == pauses[0]
    assert pause_before_retry(failure, PLAN, 1, "run-other-1") != pauses[0]


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
