"""The real shells in simulated worlds. `./dev simulate --first SEED --seeds 1` lives one of them again, and tells of it."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.simulation.comparison import live_and_compare
from tests.simulation.judges.violation import Violation
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.trouble import HOST_KINDS, KINDS, POINTS
from tests.simulation.twins import TWINS
from tests.simulation.world import World

FEW_SEEDS, SEEDS = 15, 60
SEEDS_FOR_A_TWIN = 200
# How often something must at least happen in so many worlds: without this, a simulation can become tame without anybody's notice.
EXPECTED = {
    "ExecutionLost": 10,
    "ExecutionRefused": 3,
    "agent ended: disk_full": 1,
    "call half-open": 40,
    "call reset": 80,
    "caught: gate decided": 1,
    "caught: gate opened": 1,
    "commit failed": 80,
    "execution adopted": 30,
    "execution blocked": 10,
    "execution damaged": 5,
    "execution dismissed": 1,
    "execution ended: cancelled": 15,
    "execution ended: disk_full": 3,
    "execution ended: exited": 400,
    "execution ended: orphaned": 5,
    "execution ended: shim_lost": 10,
    "gate opened": 30,
    "gate resolved": 20,
    "host added": 60,
    "host disconnected": 30,
    "host removed": 20,
    "host superseded": 10,
    "input applied": 60,
    "input told": 80,
    "lines not compacted": 1,
    "older epoch refused": 10,
    "outcome compared": 6,
    "outcome of a retry compared": 1,
    "report repeated late": 20,
    "start repeated": 10,
    "step reused": 50,
    "sub-run": 20,
    "step waits: parked": 5,
    "step waits: pool": 6,
    "run paused": 20,
    "store failed": 10,
    "stream ended: END_UNHEARD": 2,
    "stream ended: NO_CAPACITY": 3,
    "stream ended: STORAGE_UNAVAILABLE": 10,
    "stream ended: STREAM_SUPERSEDED": 5,
    "turn told": 200,
    "watcher comes back": 200,
}


@pytest.mark.timeout(120)
def test_a_few_troubled_worlds_keep_every_promise() -> None:
    """Keeps, as the test of many worlds does, what they may never break; `./dev test --long` lives the others."""
    live_many(range(1, 1 + FEW_SEEDS))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_troubled_worlds_keep_every_promise_and_are_troubled_enough() -> None:
    """Keeps B4, B7 to B9, C1, C3, D13, F1, F3, I1 to I4.

    `invariants` is judged after every decision, `tests.kit.histories` in the end.
    """
    seen: Counter[str] = Counter()
    opened = _count_descriptors()
    for seed in range(1, 1 + SEEDS):
        try:
            world = live_and_compare(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        seen += world.seen
        seen["step"] += sum(len(run.steps) for run in world.store.runs.values())

    assert seen["step"] >= 10 * SEEDS
    assert _count_descriptors() < opened + SEEDS, "a world of 10 000 closes what it opened"
    assert {what: seen[what] for what, least in EXPECTED.items() if seen[what] < least} == {}
    assert len([what for what in seen if what.startswith("trouble: ")]) == len({*KINDS, *HOST_KINDS})
    assert len([what for what in seen if what.startswith("caught: ")]) >= len(POINTS) - 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken", [*MUTANTS, *TWINS], ids=lambda broken: broken.name)
def test_a_broken_twin_is_caught(broken: Mutant) -> None:
    """First where it was caught last time; if it is not any more, wherever it is within the seeds that there are."""
    with broken.planted(), pytest.raises(Violation):
        live_many((broken.hint, *range(1, 1 + SEEDS_FOR_A_TWIN)))


def _count_descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def live_many(seeds: Iterable[int]) -> None:
    for seed in seeds:
        live_and_compare(seed)


def test_a_world_is_the_same_whenever_it_is_lived() -> None:
    once = World(7, traced=True)
    once.live()
    again = World(7, traced=True)
    again.live()

    assert once.store.writes == again.store.writes
    assert once.trace == again.trace
    assert once.seen == again.seen
