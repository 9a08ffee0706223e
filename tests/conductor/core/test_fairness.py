"""How slots are shared between runs, over whole courses of the core in virtual time. Keeps C7."""

from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.schedule import Scheduling
from conductor.core.model.conductor_state import Ongoing
from tests.conductor.core.workload import JITTER, Load, play

LEAST = 0.7
LONGEST = 1 + JITTER


def many(runs: int, steps: int, seconds: float = 1.0) -> list[Load]:
    """Runs that are asked for one after another, in a moment."""
    return [Load(steps, run / 100, seconds) for run in range(runs)]


def test_ten_runs_of_twenty_steps_on_three_hosts_get_their_share_over_any_ten_seconds() -> None:
    played = play(many(10, 20), 8, 8, 8)

    assert played.most_live == 24
    assert played.worst_ratio(10.0) >= LEAST


@pytest.mark.parametrize(("runs", "slots"), [(15, 24), (40, 24), (2, 1), (5, 2), (9, 8)])
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


@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(st.tuples(st.integers(10, 40), st.floats(0, 3)), min_size=2, max_size=12),
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


def _oldest_first(self: Scheduling, one: Ongoing | RunDraft) -> tuple[int, float, str]:
    """The first run takes all."""
    return -one.run.plan.priority, one.run.create_time, one.run.id


def _oldest_of_equals(self: Scheduling, one: Ongoing | RunDraft) -> tuple[int, int, float, str]:
    """Of the runs with as many live attempts, the oldest goes next each time."""
    return -one.run.plan.priority, self.busy[one.run.plan.root], one.run.create_time, one.run.id


@pytest.mark.parametrize("turn", [_oldest_first, _oldest_of_equals])
def test_a_broken_twin_is_caught(turn: object) -> None:
    with patch.object(Scheduling, "_turn", turn):
        assert play(many(15, 16), 24).worst_ratio(8.0, begin=LONGEST) < LEAST
