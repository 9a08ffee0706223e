"""Each rule of `schedule` and `placement` as a sentence: which step gets which place."""

import pytest

from conductor.core.model.commands import CancelExecution, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.inputs import AgentStarted, ExecutionLost
from conductor.core.model.states import AttemptState, Cause, Failure
from conductor.core.model.work import OutputInvalid, WorkKind
from tests.conductor.core.bench import OTHER, RUN, Bench, asks

STEPS = [f"s{number}" for number in range(10)]


def hosts_of(bench: Bench) -> dict[str, int]:
    attempts = [step.attempts[-1] for run in bench.runs.values() for step in run.steps.values() if step.attempts]
    names = [attempt.host for attempt in attempts if attempt.is_live]
    return {name: names.count(name) for name in sorted(set(names))}


def test_work_spreads_by_the_free_share_of_hosts() -> None:
    bench = Bench()
    bench.host("big", 8)
    bench.host("small", 2)
    bench.launch(*(asks(step) for step in STEPS[:5]))

    bench.queue(*STEPS[:5])

    assert hosts_of(bench) == {"big": 4, "small": 1}


def test_equal_hosts_are_taken_by_name_and_the_reason_is_said() -> None:
    bench = Bench()
    bench.host("b", 4)
    bench.host("a", 4)
    bench.launch(asks("one"))

    bench.queue("one")

    assert bench.attempt("one").host == "a"
    assert (
        bench.attempt("one").placement_reason
        == "a had the most room of 2 hosts that offer survey: 4 of 4 slots were free."
    )


def test_waiting_steps_of_a_run_go_by_their_priority_then_in_their_order_also_after_a_restart() -> None:
    """Keeps C7."""
    bench = Bench()
    priorities = {"s0": 0, "s1": 0, "s2": 5, "s3": -1, "s4": 5, "s5": 0}
    bench.launch(*(asks(step, priority=priority) for step, priority in priorities.items()))
    bench.queue(*priorities)
    placed = []
    for _ in range(3):
        bench.host("h1", 1)
        placed += bench.sent(StartExecution)
        bench.finish(placed[-1])
        placed += bench.sent(StartExecution)
        bench.crash()
        bench.finish(placed[-1])
        bench.host("h1", 1, connected=False)

    assert placed[:6] == ["s2", "s4", "s0", "s1", "s5", "s3"]


def test_a_host_never_has_more_attempts_than_slots() -> None:
    bench = Bench()
    bench.host("h1", 3)
    bench.launch(*(asks(step) for step in STEPS))

    bench.queue(*STEPS)
    assert hosts_of(bench) == {"h1": 3}
    bench.finish("s0")

    assert hosts_of(bench) == {"h1": 3}
    assert bench.sent(StartExecution) == ["s3"]


def test_a_draining_host_gets_nothing_new_and_keeps_what_it_has() -> None:
    bench = Bench()
    bench.host("h1", 2)
    bench.launch(asks("one"), asks("two"))
    bench.queue("one")

    bench.host("h1", 2, draining=True)
    bench.queue("two")

    assert bench.states() == {"one": "running", "two": "queued"}
    assert bench.stored(StepWaits) == [StepWaits("two", "host", "Every connected host is draining.")]


def test_a_step_that_cannot_be_placed_does_not_hold_up_those_behind_it() -> None:
    bench = Bench()
    bench.host("h1", 1)
    bench.launch(asks("odd", agents=("none",)), asks("plain"))

    bench.queue("odd", "plain")

    assert bench.states() == {"odd": "queued", "plain": "running"}


def test_runs_of_a_priority_share_slots() -> None:
    bench = Bench()
    bench.launch(*(asks(step) for step in STEPS))
    bench.launch(*(asks(step) for step in STEPS), run=OTHER)
    bench.queue(*STEPS)
    bench.queue(*STEPS, run=OTHER)

    bench.host("h1", 4)

    assert len(bench.state.ongoing[RUN].tracks) == 2
    assert len(bench.state.ongoing[OTHER].tracks) == 2


def test_a_run_of_higher_priority_goes_first() -> None:
    bench = Bench()
    bench.launch(*(asks(step) for step in STEPS))
    bench.launch(*(asks(step) for step in STEPS[:3]), run=OTHER, priority=1)
    bench.queue(*STEPS)
    bench.queue(*STEPS[:3], run=OTHER)

    bench.host("h1", 4)

    assert len(bench.state.ongoing[RUN].tracks) == 1
    assert len(bench.state.ongoing[OTHER].tracks) == 3


def test_a_host_that_goes_away_fails_nothing() -> None:
    bench = Bench()
    bench.host("h1")
    bench.launch(asks("one"))
    bench.queue("one")

    decision = bench.host("h1", connected=False)

    assert decision.to_store == ()
    assert decision.to_send == ()
    bench.host("h1")
    bench.finish("one")
    assert bench.states() == {"one": "validating"}


def test_what_ran_on_a_host_that_stays_away_is_lost_and_tried_elsewhere() -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1")
    bench.launch(asks("one"))
    bench.queue("one")
    bench.host("h2", 2)
    bench.host("h1", connected=False)
    assert bench.state.wake_at == bench.now + 100

    bench.wake()

    assert bench.attempt("one").state is AttemptState.LOST
    assert bench.sent(CancelExecution) == ["one"]  # a Start that still waits for the host never leaves
    bench.wake()
    assert bench.attempt("one").host == "h2"


def test_a_machine_that_slept_loses_no_host() -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1")
    bench.launch(asks("one"))
    bench.queue("one")
    bench.host("h1", connected=False)

    bench.take(later=3600)

    assert bench.attempt("one").is_live
    assert bench.state.wake_at == bench.now + 100


def test_a_host_that_comes_back_in_time_keeps_its_attempts() -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1")
    bench.launch(asks("one"))
    bench.queue("one")
    bench.host("h1", connected=False)
    bench.take(later=99)
    bench.host("h1")

    assert bench.state.wake_at is None
    assert bench.attempt("one").is_live


@pytest.mark.parametrize("steps", [1, 5])
def test_a_decision_touches_only_the_runs_that_it_is_about(steps: int) -> None:
    bench = Bench()
    bench.host("h1", 1)
    bench.launch(*(asks(step) for step in STEPS[:steps]))
    bench.launch(asks("one"), run=OTHER)
    untouched = bench.state.ongoing[OTHER]

    bench.queue(*STEPS[:steps])
    bench.take(ExecutionLost(bench.attempt("s0").id, "gone"))

    assert bench.state.ongoing[OTHER] is untouched


def test_a_host_that_has_the_snapshot_is_preferred_while_it_has_a_quarter_less_room() -> None:
    """Keeps C9: shipping takes time, but work still spreads."""
    bench = Bench()
    bench.host("a", 8)
    bench.launch(*(asks(step) for step in STEPS))
    bench.queue("s0")
    bench.report(bench.attempt("s0").id, 1, AgentStarted(Confinement()))
    bench.host("b", 8)

    bench.queue(*STEPS[1:5])

    assert [bench.attempt(step).host for step in STEPS[1:5]] == ["a", "a", "b", "a"]
    reasons = [bench.attempt(step).placement_reason for step in STEPS[1:5]]
    assert reasons[0] == "a has the snapshot already, of 2 that offer survey; 7 of 8 slots were free."
    assert reasons[2] == "b had the most room of 2 hosts that offer survey: 8 of 8 slots were free."
    bench.crash()
    assert bench.state.ongoing[RUN].run.hosts == {"a"}


def test_an_answer_is_repaired_on_the_host_that_gave_it() -> None:
    """Keeps C9, session affinity: a failed step goes elsewhere, a conversation does not."""
    bench = Bench()
    for name in ("a", "b"):
        bench.host(name, 8)
    bench.launch(asks("one", agent={"repairs": True}))
    bench.queue("one")
    bench.finish("one")

    wrong = Failure("OUTPUT_INVALID", "severity must be one of high, low", cause=Cause.SCHEMA)
    bench.answer(WorkKind.CHECK, "one", OutputInvalid(wrong, "prompt", "input"))

    assert [attempt.host for attempt in bench.step("one").attempts] == ["a", "a"]
    assert bench.attempt("one").placement_reason.startswith("a made the answer that is to be repaired, of 2")
