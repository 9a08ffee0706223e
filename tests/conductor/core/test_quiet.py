"""A short rate limit holds over all hosts: the conductor passes it on, and launches nothing meanwhile. Keeps C10."""

from unittest.mock import patch

import pytest

from conductor.core.decide import advance
from conductor.core.model.commands import KeepQuiet, StartExecution
from conductor.core.model.conductor_state import Pool
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.inputs import HostPool
from conductor.core.placing.quiet import FEATURE
from conductor.core.placing.standing import list_uses, present_of
from tests.conductor.core.bench import RUN, Bench, asks

POOL = HostPool("gpu0", 2, is_local=True)


def meet(bench: Bench, *names: str, features: frozenset[str] = frozenset({FEATURE}), **more: object) -> None:
    for name in names:
        bench.host(name, 8, "reader", models={"reader": (POOL, "qwen")}, features=features, **more)  # type: ignore[arg-type]


def told(bench: Bench) -> list[tuple[str, str, float]]:
    return [(one.host, one.pool, one.seconds) for one in bench.last.to_send if isinstance(one, KeepQuiet)]


def test_every_other_host_of_the_pool_is_told_once() -> None:
    bench = Bench()
    meet(bench, "h1", "h2", "h3")
    meet(bench, "old", features=frozenset())
    bench.host("other", 8)

    meet(bench, "h1", quiet=(("gpu0", 2.0),))
    assert told(bench) == [("h2", "gpu0", 2.0), ("h3", "gpu0", 2.0)]
    meet(bench, "h1", quiet=(("gpu0", 1.98),))
    assert told(bench) == [], "it is the same pause"
    meet(bench, "h2", quiet=(("gpu0", 20.0),))
    assert told(bench) == [("h1", "gpu0", 20.0), ("h3", "gpu0", 20.0)]


def test_a_host_that_comes_meanwhile_is_told_what_is_left() -> None:
    bench = Bench()
    meet(bench, "h1")
    meet(bench, "h1", quiet=(("gpu0", 10.0),))
    bench.now += 4.0

    meet(bench, "h2")

    assert told(bench) == [("h2", "gpu0", pytest.approx(6.0, abs=0.1))]


def test_nothing_is_launched_meanwhile_and_at_its_end_all_is() -> None:
    bench = Bench()
    meet(bench, "h1", "h2")
    meet(bench, "h1", quiet=(("gpu0", 2.0),))
    bench.launch(asks("one", agents=("reader",)), asks("plain"))
    bench.host("h3", 1)
    bench.queue("one", "plain")

    assert bench.states() == {"one": "queued", "plain": "running"}
    text = "gpu0 asked for a pause until 00:16:42 UTC (rate limited)."
    assert bench.step("one").wait is not None
    assert (bench.step("one").wait.text, list_uses(bench.state, bench.now)[0].parked_until) == (  # type: ignore[union-attr]
        text,
        bench.state.pools["gpu0"].quiet_until,
    )
    bench.wake()
    assert bench.sent(StartExecution) == ["one"]
    assert bench.state.pools["gpu0"].quiet_until == 0.0
    assert bench.state.wake_at is None


def test_steps_that_wait_for_a_slot_are_shown_the_pause_and_no_event_is_stored_for_each() -> None:
    """A server may refuse every other second, and a thousand steps may wait."""
    bench = Bench()
    meet(bench, "h1")
    bench.launch(*(asks(f"s{number}", agents=("reader",)) for number in range(5)))
    bench.queue(*(f"s{number}" for number in range(5)))

    meet(bench, "h1", quiet=(("gpu0", 2.0),))

    assert bench.stored(StepWaits) == []
    shown = present_of(bench.state, RUN, bench.now).waits
    assert {wait.text.partition(" until")[0] for wait in shown.values()} == {"gpu0 asked for a pause"}


@pytest.mark.parametrize(("seconds", "kept"), [(1e9, 60.0), (-5.0, 0.0), (float("nan"), 0.0)])
def test_what_a_host_tells_is_bounded(seconds: float, kept: float) -> None:
    bench = Bench()
    meet(bench, "h1", "h2")

    meet(bench, "h1", quiet=(("gpu0", seconds), ("never heard of", 9.0)))

    pool = bench.state.pools.get("gpu0", Pool())
    assert max(0.0, pool.quiet_until - bench.now) == pytest.approx(kept, abs=0.02)
    assert "never heard of" not in bench.state.pools


def test_a_twin_that_forgets_the_other_hosts_is_caught() -> None:
    with patch.object(advance, "note_quiet"):
        bench = Bench()
        meet(bench, "h1", "h2")
        meet(bench, "h1", quiet=(("gpu0", 2.0),))

        assert told(bench) == []
