"""Two and three conductors on one database: at most one of them holds the lease, and each stored decision is stored once."""

from collections.abc import Iterable

import pytest

from conductor.core.lease.model import TRANSITIONS
from tests.conductor.core.lease.twins import TWINS
from tests.conductor.core.lease.world import Rules, World

SEEDS = 12
MANY_SEEDS = 120
SOAK_SEEDS = 1200
TWIN_SEEDS = 60


def live(conductors: int, seeds: Iterable[int]) -> set[str]:
    """Lives these worlds; returns what was seen in them."""
    seen: set[str] = set()
    for seed in seeds:
        world = World(seed, conductors)
        world.run(60.0)
        assert world.faults == [], f"seed {seed}"
        seen |= world.seen
    return seen


@pytest.mark.parametrize("conductors", [2, 3])
def test_at_most_one_holds_the_lease_and_nothing_is_sent_after_ones_own_ran_out(conductors: int) -> None:
    """Keeps I2 and K15: by the database's clock, through kills, freezes, sleep, and answers that come late or never."""
    seen = live(conductors, range(SEEDS))

    assert "older epoch refused" in seen


@pytest.mark.long
@pytest.mark.parametrize("conductors", [2, 3])
def test_the_same_holds_in_many_worlds(conductors: int) -> None:
    seen = live(conductors, range(SEEDS, MANY_SEEDS))

    steps = {f"{one} -> {other}" for one, others in TRANSITIONS.items() for other in others}
    assert steps - seen == set(), "every step between roles happens in these worlds"


@pytest.mark.long
@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("conductors", [2, 3])
def test_the_same_holds_in_many_more(conductors: int) -> None:
    live(conductors, range(MANY_SEEDS, SOAK_SEEDS))


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_twin_is_caught(twin: str) -> None:
    for seed in range(TWIN_SEEDS):
        world = World(seed, 2, rules=TWINS[twin])
        world.run(60.0)
        if world.faults:
            return
    pytest.fail(f"a conductor that {twin} was not caught in {TWIN_SEEDS} worlds")


def test_a_world_is_the_same_again() -> None:
    worlds = [World(7, 3, Rules()) for _ in range(2)]
    for world in worlds:
        world.run(20.0)

    assert worlds[0].database.journal == worlds[1].database.journal
