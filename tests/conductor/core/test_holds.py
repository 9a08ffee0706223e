"""An operator holds a run, and lets it go on. Keeps B9."""

import pytest

from conductor.core.model.commands import Accepted
from conductor.core.model.states import GateDecision, PauseCause, RunState
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import RUN, Bench, asks, folds
from tests.conductor.core.test_gates import at_gate, refused


def test_a_run_that_stops_is_not_held() -> None:
    """Keeps B9: nothing of it would begin anyway."""
    bench = at_gate(asks("look", attempts=1))
    bench.queue("look")
    bench.pause()
    bench.finish("look", "failed", "AGENT_EXIT_NONZERO")
    assert (bench.run.state, bench.run.pauses) == (RunState.RUNNING, {})
    bench.pause()
    assert bench.replies[-1] == Accepted(3, RUN, repeated=True)
    assert bench.run.pauses == {}


def test_a_held_run_places_nothing_and_its_queue_has_no_clock() -> None:
    """Keeps B9."""
    bench = Bench()
    bench.launch(asks("look", agent={"queue_timeout_seconds": 60.0}), timeout=500.0)
    bench.pause()
    assert (bench.run.state, bench.run.start_time) == (RunState.PAUSED, None)
    bench.queue("look")
    bench.host()
    bench.crash()
    bench.take()
    bench.host()
    bench.take(later=100.0)
    assert bench.states() == {"look": "queued"}
    assert bench.state.wake_at == pytest.approx(bench.run.create_time + 500.0)

    bench.resume()

    assert bench.states() == {"look": "running"}
    assert bench.run.state is RunState.RUNNING
    bench.resume()
    assert bench.replies[-1] == Accepted(4, RUN, repeated=True)


def test_a_run_remembers_each_cause_of_its_pause() -> None:
    """Keeps B9."""
    bench = at_gate(folds("end", "plan"))
    bench.pause()
    assert set(bench.run.pauses) == {PauseCause.GATE, PauseCause.OPERATOR}
    bench.resume()
    assert (bench.run.state, set(bench.run.pauses)) == (RunState.PAUSED, {PauseCause.GATE})
    bench.pause()
    bench.decide("plan", GateDecision.APPROVE)
    assert (bench.run.state, set(bench.run.pauses)) == (RunState.PAUSED, {PauseCause.OPERATOR})
    bench.answer(WorkKind.FOLD, "end")
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.SUCCEEDED


def test_a_run_that_is_cancelled_cannot_be_held() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("look"))
    bench.queue("look")
    bench.pause()
    bench.cancel()
    assert bench.run.state is RunState.CANCELLING
    bench.pause()
    assert refused(bench) == "RUN_NOT_RUNNING"
