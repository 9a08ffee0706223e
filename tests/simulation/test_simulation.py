"""Both cores in simulated worlds. `./dev simulate --first SEED --seeds 1` lives one of them again, and tells of it."""

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.subject import Subject
from tests.simulation.trouble import KINDS, POINTS
from tests.simulation.twins import TWINS
from tests.simulation.violation import Violation
from tests.simulation.world import World, live_and_compare

SEEDS = 120
SEEDS_FOR_A_TWIN = 200
# How often something must at least happen in so many worlds: without this, a simulation can become tame without anybody's notice.
EXPECTED = {
    "ExecutionLost": 2,
    "ExecutionRefused": 2,
    "agent ended by a full disk": 2,
    "call half-open": 40,
    "call reset": 80,
    "commit failed": 80,
    "ended: cancelled": 15,
    "ended: exited": 400,
    "ended: shim_lost": 10,
    "execution adopted": 30,
    "files damaged": 5,
    "host disconnected": 30,
    "id spent in vain": 1,
    "older conductor condemned": 10,
    "older epoch refused": 10,
    "outcome compared": 20,
    "report repeated late": 20,
    "start repeated": 10,
    "stream superseded": 20,
    "watcher comes back": 200,
}


def test_troubled_worlds_keep_every_promise_and_are_troubled_enough() -> None:
    """Keeps B4, B7, B8, C1, C3, F1, I1 to I4: `invariants` is judged after every decision, `tests.histories` in the end."""
    seen: Counter[str] = Counter()
    for seed in range(1, 1 + SEEDS):
        try:
            world = live_and_compare(seed, Subject())
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        seen += world.seen
        seen["step"] += sum(len(run.steps) for run in world.store.runs.values())

    assert seen["step"] >= 10 * SEEDS
    assert {what: seen[what] for what, least in EXPECTED.items() if seen[what] < least} == {}
    assert len([what for what in seen if what.startswith("trouble: ")]) == len(set(KINDS))
    assert len([what for what in seen if what.startswith("caught: ")]) >= len(POINTS) - 3


@pytest.mark.parametrize("broken", [*MUTANTS, *TWINS], ids=lambda broken: broken.name)
def test_a_broken_twin_is_caught(broken: Mutant) -> None:
    """First where it was caught last time; if it is not any more, wherever it is within the seeds that there are."""
    with broken.planted() as subject, pytest.raises(Violation):
        live_many((broken.hint, *range(1, 1 + SEEDS_FOR_A_TWIN)), subject)


def live_many(seeds: Iterable[int], subject: Subject) -> None:
    for seed in seeds:
        live_and_compare(seed, subject)


def test_a_world_is_the_same_whenever_it_is_lived() -> None:
    once, again = World(7, Subject(), traced=True), World(7, Subject(), traced=True)
    once.live()
    again.live()

    assert once.store.log == again.store.log
    assert once.trace == again.trace
    assert once.seen == again.seen
