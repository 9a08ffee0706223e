"""A decision looks for lost attempts only when one may be due, and misses none by that. Keeps rule 7."""

import random
from unittest.mock import patch

import pytest

from conductor.core.decide.endings import loss
from conductor.core.decide.endings.loss import list_absences
from conductor.core.model.conductor_state import Limits
from conductor.core.model.inputs import ExecutionReported
from conductor.core.model.output import Channel, Output
from tests.conductor.core.bench import RUN, Bench, asks

STEPS = tuple(f"s{number}" for number in range(6))


def at_work() -> Bench:
    """A bench with two hosts and six attempts, each with a patience of its own."""
    bench = Bench(Limits(late_tick=1e9))
    for name in ("h1", "h2"):
        bench.host(name, 8, instance="first")
    bench.launch(*(asks(name, agent={"lost_after_seconds": 20.0 + 7 * place}) for place, name in enumerate(STEPS)))
    bench.queue(*STEPS)
    return bench


def say(bench: Bench, step: str, later: float = 0.01) -> None:
    attempt = bench.attempt(step).id
    bench.take(ExecutionReported(attempt, 1, 1, (Output(attempt, Channel.ANSWER, "word"),)), later=later)


def overdue(bench: Bench) -> list[str]:
    return [one.attempt for one in list_absences(bench.state, RUN) if one.lost_at <= bench.now]


def test_words_look_for_no_lost_attempt_until_one_is_due() -> None:
    bench = at_work()
    bench.host("h1", connected=False)
    with patch.object(loss, "_list_lost", wraps=loss._list_lost) as looks:
        for _ in range(20):
            say(bench, "s5")
        assert looks.call_count == 0
        bench.wake()
        assert looks.call_count == 1


@pytest.mark.parametrize("seed", range(8))
def test_no_attempt_outlives_its_patience_however_hosts_come_and_go(seed: int) -> None:
    chance, bench = random.Random(seed), at_work()
    for _ in range(40):
        name = chance.choice(("h1", "h2"))
        match chance.randrange(4):
            case 0:
                bench.host(name, 8, connected=False)
            case 1:
                bench.host(name, 8, instance=chance.choice(("first", "second")))
            case 2:
                say(bench, chance.choice(STEPS), later=chance.uniform(0, 15))
            case _:
                bench.take(later=chance.uniform(0, 15))
        assert overdue(bench) == []
