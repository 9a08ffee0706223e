"""Every state and kind of the core has its place in the API."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.api.messages.json_values import TOO_DEEP, struct
from conductor.api.messages.runs import attempt_message, read_run_states, run_state
from conductor.api.run_ids import new_run_id
from conductor.clock import SystemClock
from conductor.core.folded.attempt import Attempt
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass, RunState, StepState
from conductor.v1 import run_service_pb2 as pb
from servicekit.times import duration, seconds, timestamp


@pytest.mark.parametrize(
    ("states", "shown"),
    [(RunState, pb.Run.State), (StepState, pb.Step.State), (AttemptState, pb.Attempt.State)],
    ids=["run", "step", "attempt"],
)
def test_every_state_can_be_shown(states: type[RunState], shown: object) -> None:
    values = [shown.Value(f"STATE_{state.name}") for state in states]  # type: ignore[attr-defined]

    assert len(set(values)) == len(states)
    assert 0 not in values


def test_states_of_a_filter_are_read_back() -> None:
    assert read_run_states([run_state(state) for state in RunState] + [0, 99]) == tuple(RunState)


def test_what_is_unset_stays_unset() -> None:
    assert timestamp(None) is None
    assert not struct(b"").fields


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_time_that_was_shown_is_read_back_as_the_very_same(microseconds: int) -> None:
    time = round(microseconds / 1_000_000, 6)
    made = timestamp(time)

    assert made is not None
    assert seconds(made) == time


def test_the_clock_tells_whole_microseconds() -> None:
    clock = SystemClock()
    for _ in range(1000):
        now = clock.now()
        made = timestamp(now)
        assert made is not None
        assert seconds(made) == now


def test_a_time_is_that_of_the_calendar() -> None:
    made = timestamp(datetime(2026, 11, 21, tzinfo=UTC).timestamp())

    assert made is not None
    assert made.ToJsonString() == "2026-11-21T00:00:00Z"
    assert duration(1.5).ToMilliseconds() == 1500


def test_ids_of_runs_sort_by_time_and_differ() -> None:
    ids = [new_run_id(1_795_000_000 + number) for number in range(50)]

    assert ids == sorted(ids)
    assert all(len(each) == 26 and each.isalnum() and each == each.lower() for each in ids)
    assert len({new_run_id(1_795_000_000.0) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_a_result_nested_nine_hundred_deep_is_shown_as_far_as_readers_of_messages_go(
    opening: str, closing: str
) -> None:
    made = struct(f'{{"result": {opening * 900}1{closing * 900}}}'.encode())

    read = pb.Step.FromString(pb.Step(result=made).SerializeToString())
    assert TOO_DEEP in str(read)
    assert struct(b'{"a": [{"b": 1}]}') == {"a": [{"b": 1}]}


def attempt(failure: Failure) -> Attempt:
    start = StartSpec("run-step-1", "survey", "p" * 64, "c" * 40, (), 60.0, 60.0)
    end = AttemptEnded("step", start.execution, AttemptState.FAILED, failure)
    return Attempt(start.execution, 1, "alpha", "", start, 0.0, AttemptState.FAILED, end=end)


@pytest.mark.parametrize("kind", FailureClass)
@pytest.mark.parametrize("cause", Cause)
def test_every_failure_of_an_attempt_shows_its_class_and_its_cause(kind: FailureClass, cause: Cause) -> None:
    shown = attempt_message("run", attempt(Failure("R", "m", kind, cause=cause))).failure

    assert getattr(shown, "class") == kind
    assert pb.Failure.Kind.Name(shown.kind) == f"KIND_{kind.name}"
    assert pb.Failure.Cause.Name(shown.cause) == f"CAUSE_{cause.name}"


def test_an_attempt_that_f9ac01c_stored_shows_the_cause_by_which_it_is_retried() -> None:
    shown = attempt_message("run", attempt(Failure("IDLE_TIMEOUT", "m"))).failure

    assert shown.cause == pb.Failure.CAUSE_HANG
