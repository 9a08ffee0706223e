"""How slots are shared between runs, over whole courses of the core in virtual time. Keeps C7."""

from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.schedule import Scheduling
from conductor.core.model.commands import StartExecution
from conductor.core.model.conductor_state import Limits, Ongoing
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.inputs import HostPool, WorkFinished
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import WaitKind
from conductor.core.model.work import SubRunPlanned, Work, WorkKind, WorkResult
from conductor.core.placing.limits import AttemptLimits
from conductor.core.placing.standing import list_uses, present_of
from tests.conductor.core.bench import OTHER, RUN, Bench, asks, calls, part
from tests.conductor.core.workload import JITTER, Load, Workload, play

LEAST = 0.7
LONGEST = 1 + JITTER


def many(runs: int, steps: int, seconds: float = 1.0) -> list[Load]:
    """Runs that are asked for one after another, in a moment."""
    return [Load(steps, run / 100, seconds) for run in range(runs)]


def test_ten_runs_of_twenty_steps_on_three_hosts_get_their_share_over_any_ten_seconds() -> None:
    played = play(many(10, 20), 8, 8, 8)

    assert played.most_live == 24
    assert played.worst_ratio(10.0) >= LEAST


@pytest.mark.parametrize(("runs", "slots"), [(15, 24), (30, 20), (2, 1), (5, 2), (9, 8)])
def test_slots_go_round_where_they_cannot_be_divided(runs: int, slots: int) -> None:
    """The youngest runs would get none otherwise, as long as the older ones have steps."""
    assert play(many(runs, 16), slots).worst_ratio(16.0, begin=LONGEST) >= LEAST


@pytest.mark.parametrize("slots", [1, 2, 24])
def test_a_run_of_one_step_behind_a_run_of_a_thousand_starts_within_two_step_lengths(slots: int) -> None:
    played = play([Load(1000 if slots > 2 else 100), Load(1, arrival=5.0)], slots, until=8.0)

    assert played.waits[1] <= 2.0


def test_runs_of_one_step_that_keep_coming_do_not_stop_a_large_one() -> None:
    flood = [Load(1, arrival=float(number)) for number in range(40)]
    played = play([Load(20), *flood], 1)

    assert [run for _, run, begun, _ in played.changes if begun > 0][:20].count(0) >= 4


def test_a_higher_priority_has_every_slot_and_the_lower_one_what_it_leaves() -> None:
    played = play([Load(20), Load(8, arrival=2.0, priority=1), Load(4, arrival=2.0)], 4)

    high = [now for now, run, begun, _ in played.changes if run == 1 and begun > 0]
    others = [now for now, run, begun, _ in played.changes if run != 1 and begun > 0 and now > 2.0]
    assert max(high) <= min(others)
    assert len(others) >= 12, "when the higher one wants no more, the others go on"


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(st.tuples(st.integers(10, 24), st.floats(0, 3)), min_size=2, max_size=8),
    st.lists(st.integers(1, 8), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_no_run_gets_less_than_its_share_whatever_runs_meet(
    runs: list[tuple[int, float]], hosts: list[int], seed: int
) -> None:
    """Nothing that runs is stopped for another one, so a run may get one step less."""
    played = play([Load(steps, arrival) for steps, arrival in runs], *hosts, seed=seed)

    assert played.most_live <= sum(hosts)
    assert played.worst_ratio(10.0, begin=3.0 + LONGEST, grain=LONGEST) >= LEAST


def test_a_pool_of_one_slot_goes_round_whatever_a_run_has_elsewhere() -> None:
    """A run with agents at work in other pools would get none of its slots, as long as another run wants them."""
    models = {"reader": (HostPool("gpu0", 1, is_local=True), "qwen")}
    bench = Bench()
    bench.host("h1", 8, "reader", "survey", models=models)
    bench.launch(*(asks(f"e{number}") for number in range(4)), *(thinks(number) for number in range(4)))
    bench.queue(*(f"e{number}" for number in range(4)), *(f"s{number}" for number in range(4)))
    bench.launch(*(thinks(number) for number in range(8)), run=OTHER)
    bench.queue(*(f"s{number}" for number in range(8)), run=OTHER)

    order = []
    for _ in range(8):
        (holder,) = list_uses(bench.state, bench.now)[0].holders
        run, step, _ = holder.split("-")
        order.append(run)
        if len(order) == 3:
            bench.crash()
            bench.host("h1", 8, "reader", "survey", models=models)
        bench.finish(step, run=run)

    assert order == [RUN, OTHER] * 4
    assert len([step for step in bench.run.steps.values() if step.live_attempt is not None]) == 4, "those elsewhere"


def test_the_run_that_holds_the_fewest_slots_of_a_pool_goes_next_although_it_had_the_last_one() -> None:
    bench = with_pool(3)
    bench.launch(*(thinks(number) for number in range(6)))
    bench.queue(*(f"s{number}" for number in range(6)))
    bench.launch(*(thinks(number) for number in range(3)), run=OTHER)
    bench.queue(*(f"s{number}" for number in range(3)), run=OTHER)
    bench.finish("s0")
    bench.finish("s0", run=OTHER)

    assert bench.states(OTHER) == {"s0": "validating", "s1": "running", "s2": "queued"}


def test_a_pool_forgets_runs_that_have_ended() -> None:
    bench = with_pool(1)
    bench.launch(thinks(0))
    bench.complete("s0")
    bench.answer(WorkKind.REPORT)
    bench.launch(thinks(0), run=OTHER)
    bench.queue("s0", run=OTHER)

    assert bench.states() == {"s0": "succeeded"}
    assert list(bench.state.pools["gpu0"].served) == [OTHER]


def with_pool(slots: int) -> Bench:
    bench = Bench()
    bench.host("h1", 8, "reader", models={"reader": (HostPool("gpu0", slots, is_local=True), "qwen")})
    return bench


def thinks(number: int) -> StepPlan:
    return asks(f"s{number}", agents=("reader",))


def _oldest_first(self: Scheduling, one: Ongoing | RunDraft) -> tuple[int, float, str]:
    """The first run takes all."""
    return -one.run.plan.priority, one.run.create_time, one.run.id


def _oldest_of_equals(self: Scheduling, one: Ongoing | RunDraft) -> tuple[int, int, float, str]:
    """Of the runs with as many live attempts, the oldest goes next each time."""
    return -one.run.plan.priority, self.limits.live(one.run.plan.root), one.run.create_time, one.run.id


@pytest.mark.parametrize("turn", [_oldest_first, _oldest_of_equals])
def test_a_broken_twin_is_caught(turn: object) -> None:
    with patch.object(Scheduling, "_turn", turn):
        assert play(many(15, 16), 24).worst_ratio(8.0, begin=LONGEST) < LEAST


def test_a_run_has_no_more_agents_at_work_than_its_flow_allows_and_says_so() -> None:
    bench = Bench()
    bench.host("h1", 8)
    bench.launch(*(asks(f"s{number}") for number in range(5)), parallel=2)
    bench.launch(asks("s0"), run=OTHER)

    bench.queue(*(f"s{number}" for number in range(5)))
    bench.queue("s0", run=OTHER)

    assert list(bench.states().values()).count("running") == 2
    assert bench.states(OTHER) == {"s0": "running"}
    text = "This run has 2 agents at work, the most that max_parallel of its flow allows."
    assert [(event.kind, event.text) for event in waits_of(bench)] == [("limit", text)] * 3
    bench.finish("s0")
    assert bench.sent(StartExecution) == ["s2"]
    assert bench.stored(StepWaits) == [], "which limit holds it up is told once"
    bench.crash()
    bench.host("h1", 8)
    assert bench.last.to_send == ()
    assert list(bench.states().values()).count("running") == 2


def test_sub_runs_count_to_the_limit_of_the_run_that_calls_them() -> None:
    bench, sub = Bench(), part("call", asks("s0"), asks("s1"))
    bench.host("h1", 8)
    bench.launch(calls("call"), asks("own"), parallel=2)
    bench.queue("own")
    bench.take(WorkFinished(WorkResult(Work(RUN, WorkKind.CALL, "call"), SubRunPlanned(sub))))
    bench.queue("s0", "s1", run=sub.run)

    assert bench.states(sub.run) == {"s0": "running", "s1": "queued"}
    wait = bench.step("s1", sub.run).wait
    assert wait is not None
    assert wait.text.startswith(f"Run …{RUN[-6:]}, which calls this one, has 2 agents at work")


def test_the_conductor_has_no_more_agents_at_work_than_its_settings_allow() -> None:
    """Keeps C7: two runs of ten steps, limit 2: never three, and both go on."""
    played = Workload([Load(10), Load(10)], [8], limits=Limits(attempts=2)).play()

    assert played.most_live == 2
    assert played.worst_ratio(10.0, begin=LONGEST) >= LEAST


def test_what_holds_up_a_run_now_is_told_to_readers_where_it_alternates() -> None:
    """A limit and a slot take turns with every attempt: an event for each waiting step each time would be too much."""
    bench = Bench()
    bench.host("h1", 2)
    bench.launch(*(asks(f"s{number}") for number in range(4)), parallel=2)
    bench.queue(*(f"s{number}" for number in range(4)))
    bench.launch(asks("s0"), run=OTHER)
    bench.queue("s0", run=OTHER)

    bench.finish("s0")
    assert bench.sent(StartExecution) == ["s0"], "the other run's"
    assert bench.stored(StepWaits) == []
    assert {name: wait.kind for name, wait in present_of(bench.state, RUN, bench.now).waits.items()} == {
        "s2": WaitKind.SLOT,
        "s3": WaitKind.SLOT,
    }


@pytest.mark.parametrize("name", ["admits", "_most"])
def test_a_twin_without_limits_is_caught(name: str) -> None:
    with patch.object(AttemptLimits, name, lambda *_: 99):
        bench = Bench(Limits(attempts_per_run=2))
        bench.host("h1", 8)
        bench.launch(*(asks(f"s{number}") for number in range(5)))
        bench.queue(*(f"s{number}" for number in range(5)))

    assert list(bench.states().values()).count("running") == 5


def waits_of(bench: Bench) -> list[StepWaits]:
    return [event for _, event in bench.events if isinstance(event, StepWaits)]
