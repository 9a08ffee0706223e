"""Requests of callers: one reply each."""

from conductor.core.model.commands import Accepted, Rejected
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.run_events import RunCancelRequested, RunCreated
from conductor.core.model.inputs import Blob, RequestRun
from conductor.core.model.plan import AgentPlan, StepPlan
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import OTHER, RUN, Bench, asks, folds, plan


def test_a_run_is_created_whole_at_position_one() -> None:
    bench = Bench()
    blob = Blob("bundle", b"flow")

    decision = bench.take(RequestRun(plan(asks("one"), asks("two", excluded_because="small")), (blob,), "id", "d", 7))

    assert decision.replies == (Accepted(7, RUN),)
    assert bench.events[0] == (RUN, RunCreated(plan(asks("one"), asks("two", excluded_because="small")), "id", "d"))
    assert decision.blobs == (blob,)
    assert decision.durable
    assert bench.states() == {"one": "ready", "two": "excluded"}


def test_too_many_unfinished_runs_are_refused_for_now() -> None:
    bench = Bench(Limits(unfinished_runs=1))
    bench.launch(asks("one"))

    decision = bench.launch(asks("one"), run=OTHER, reply=5)

    assert isinstance(decision.replies[0], Rejected)
    assert decision.replies[0].reason == "NO_CAPACITY"


def test_a_plan_that_no_run_can_be_made_of_is_refused() -> None:
    bench = Bench(Limits(steps_per_run=3))
    no_agent = StepPlan("one", AgentPlan(()))
    for steps in ((folds("a"),) * 2, tuple(folds(f"s{n}") for n in range(4)), (folds("a-b"),), (no_agent,)):
        decision = bench.launch(*steps)
        assert isinstance(decision.replies[0], Rejected)
        assert decision.replies[0].reason == "INVALID_REQUEST"
        assert decision.to_store == ()


def test_cancelling_is_idempotent_while_the_run_stops() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"))
    bench.queue("one")

    assert bench.cancel().replies == (Accepted(2, RUN),)
    again = bench.cancel()

    assert again.replies == (Accepted(2, RUN, repeated=True),)
    assert again.to_store == ()


def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    bench = Bench()
    bench.launch(asks("one"))
    bench.cancel(request="id", digest="d")
    bench.answer(WorkKind.REPORT)
    assert str(bench.run.state) == "cancelled"

    late = bench.cancel(request="other", digest="d")

    assert isinstance(late.replies[0], Rejected)
    assert late.replies[0].reason == "RUN_NOT_RUNNING"


def test_an_unknown_run_cannot_be_cancelled() -> None:
    decision = Bench().cancel()

    assert isinstance(decision.replies[0], Rejected)
    assert decision.replies[0].reason == "RUN_NOT_RUNNING"  # the store knows that it never was


def test_a_cancel_keeps_its_reason_and_its_request() -> None:
    bench = Bench()
    bench.launch(asks("one"))

    bench.cancel(request="id", digest="d")

    assert bench.stored(RunCancelRequested) == [RunCancelRequested("enough", "id", "d")]
    assert bench.step("one").reason == "enough"
