"""The shim's decisions without a process: its clocks and its inputs. The simulation runs the same code."""

import pytest

from agenthost.shim.clocks import KILL, LATE_GRACE_SECONDS, TERMINATE, Clocks
from agenthost.shim.turns import MAX_WAITING_INPUT_BYTES, MAX_WAITING_INPUTS, Inputs, Turns

CONFIG = {
    "first_output_timeout_seconds": 20.0,
    "timeout_seconds": 100.0,
    "idle_timeout_seconds": 30.0,
    "orphan_timeout_seconds": 60.0,
    "grace_seconds": 2.0,
}


@pytest.fixture
def clocks() -> Clocks:
    clocks = Clocks(CONFIG, 0.0)
    clocks.start(0.0, 0.0)
    return clocks


def look_on_time(clocks: Clocks, upto: float) -> list[str]:
    done: list[str] = []
    while clocks.looked < upto:
        done += clocks.look(clocks.wait_until(upto))
    return done


@pytest.mark.parametrize(
    ("keep_alive", "cause", "time"),
    [
        ((), "first_output_timeout", 20.0),
        (("note_output",), "idle_timeout", 39.0),
        (("note_output", "renew_lease"), "timeout", 100.0),
    ],
)
def test_the_first_clock_that_runs_out_ends_the_agent_and_then_kills_it(
    clocks: Clocks, keep_alive: tuple[str, ...], cause: str, time: float
) -> None:
    for second in range(int(time)):
        assert look_on_time(clocks, float(second)) == []
        if second <= 9 or cause == "timeout":
            for event in keep_alive:
                getattr(clocks, event)(float(second))

    assert look_on_time(clocks, time) == [TERMINATE]
    assert clocks.cause == cause
    assert look_on_time(clocks, time + CONFIG["grace_seconds"]) == [KILL]


def test_a_look_that_comes_late_gives_those_who_slept_time_to_wake_up(clocks: Clocks) -> None:
    clocks.wait_until(1.0)

    assert clocks.look(70.0) == []
    assert look_on_time(clocks, 70.0 + LATE_GRACE_SECONDS - 0.1) == []
    assert look_on_time(clocks, 70.0 + LATE_GRACE_SECONDS) == [TERMINATE]


def test_the_first_reason_stays_and_a_shorter_grace_counts(clocks: Clocks) -> None:
    assert clocks.stop("cancelled", "enough", 5.0, 1.0) == [TERMINATE]
    assert clocks.stop("disk_full", "", 0.0, 2.0) == []

    assert (clocks.cause, clocks.message) == ("cancelled", "enough")
    assert clocks.look(2.0) == [KILL]


def test_nothing_ends_what_has_ended(clocks: Clocks) -> None:
    clocks.note_sandbox_gone(3.0)

    assert clocks.stop("cancelled", "", 2.0, 4.0) == []
    assert clocks.cause == "exited"
    assert not clocks.is_drained
    look_on_time(clocks, 8.0)
    assert clocks.is_drained


def test_inputs_are_taken_once_and_in_order() -> None:
    inputs = Inputs()

    assert inputs.offer(2, b"two", 7) is False
    assert inputs.offer(1, b"one", 7) is None
    assert inputs.begin() == (1, b"one")
    assert inputs.begin() is None
    assert inputs.take(1) is None
    assert inputs.offer(1, b"one", 8) is None
    assert inputs.take(2) == (8, 1)
    assert inputs.offer(1, b"one", 9) is True


def test_what_does_not_fit_or_comes_too_late_is_refused() -> None:
    inputs = Inputs()
    assert inputs.offer(1, b"x" * (MAX_WAITING_INPUT_BYTES + 1), 7) is False
    for number in range(1, MAX_WAITING_INPUTS + 1):
        assert inputs.offer(number, b"x", 7) is None

    assert inputs.offer(MAX_WAITING_INPUTS + 1, b"x", 7) is False
    assert [number for _, number in inputs.close()] == list(range(1, MAX_WAITING_INPUTS + 1))
    assert inputs.offer(1, b"x", 7) is False


def test_a_turn_runs_until_a_daemon_says_that_it_ended() -> None:
    turns = Turns(2)
    assert (turns.is_in_turn, turns.may_begin, turns.is_watched) == (True, False, False)

    turns.read(7, 0)
    assert turns.is_watched
    turns.read(7, 1)
    turns.read(8, 0)  # another, that has not read as far yet
    assert (turns.is_in_turn, turns.may_begin, turns.is_watched) == (False, True, False)

    turns.begun += 1
    assert turns.is_watched
    turns.leave(7)
    turns.leave(8)
    assert (turns.is_in_turn, turns.is_watched) == (True, False)


def test_a_daemon_cannot_end_a_turn_that_was_not_begun() -> None:
    turns = Turns(3)
    turns.read(7, 99)

    assert (turns.ended, turns.is_in_turn) == (1, False)


def test_an_attempt_of_one_turn_is_always_watched_and_begins_every_input_at_once() -> None:
    turns, inputs = Turns(1), Inputs()
    inputs.offer(1, b"one", 7)

    assert (turns.is_watched, turns.may_begin, turns.refusal(inputs)) == (True, True, "")


def test_as_many_prompts_are_taken_as_turns_are_left() -> None:
    turns, inputs = Turns(3), Inputs()
    for number in (1, 2):
        assert turns.refusal(inputs) == ""
        assert inputs.offer(number, b"x", 7) is None
    assert turns.refusal(inputs) == "TURNS_SPENT"

    inputs.begin()
    turns.begun += 1
    assert turns.refusal(inputs) == "TURNS_SPENT"
    turns.is_closed = True
    assert turns.refusal(inputs) == "INPUT_CLOSED"
    assert inputs.drop_queued() == [(7, 2)]
    assert inputs.take(1) == (7, 1)


def test_the_number_of_a_refused_input_is_not_given_to_another() -> None:
    inputs = Inputs()
    inputs.taken = 1

    assert inputs.offer(1, b"again", 7) is False
    assert inputs.offer(2, b"next", 7) is None


def test_the_clocks_of_silence_run_only_while_they_are_watched(clocks: Clocks) -> None:
    clocks.renew_lease(40.0)
    clocks.watch_silence(5.0, is_watched=False)
    assert look_on_time(clocks, 90.0) == []

    clocks.renew_lease(90.0)
    clocks.deadlines["timeout"] = 1000.0
    clocks.watch_silence(90.0, is_watched=True)
    clocks.watch_silence(95.0, is_watched=True)  # again, by another word of the daemon
    assert look_on_time(clocks, 110.0) == [TERMINATE]
    assert clocks.cause == "first_output_timeout"


def test_a_turn_that_was_heard_has_no_first_output_to_wait_for_and_the_next_one_has(clocks: Clocks) -> None:
    clocks.deadlines["orphaned"] = clocks.deadlines["timeout"] = 1000.0
    clocks.note_output(1.0)
    clocks.watch_silence(2.0, is_watched=False)
    clocks.watch_silence(3.0, is_watched=True)
    assert look_on_time(clocks, 30.0) == []

    clocks.begin_turn(30.0, is_watched=True)
    assert look_on_time(clocks, 49.9) == []
    assert look_on_time(clocks, 50.0) == [TERMINATE]
    assert clocks.cause == "first_output_timeout"


def test_an_agent_of_which_nothing_more_is_asked_has_ten_seconds_to_leave(clocks: Clocks) -> None:
    clocks.watch_silence(0.0, is_watched=False)
    clocks.expect_exit(5.0)
    clocks.expect_exit(14.0)

    assert look_on_time(clocks, 14.9) == []
    assert look_on_time(clocks, 15.0) == [TERMINATE]
    assert clocks.cause == "closed"
