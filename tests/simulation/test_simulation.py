"""The core in simulated worlds. `python -m tests.simulation --first SEED --seeds 1` lives one of them again."""

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.subject import Subject, Violation
from tests.simulation.world import simulate

SEEDS = 1000
BATCHES = 4
SEEDS_FOR_A_MUTANT = 200


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_thousand_troubled_worlds_keep_every_promise(batch: int) -> None:
    """Keeps B4, B7, B8, C1, C3, F1, I3: see `invariants` for what is judged, after every decision and at the end."""
    steps = inputs = restarts = 0
    for seed in range(1 + batch, 1 + SEEDS, BATCHES):
        try:
            world = simulate(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        steps += sum(len(run.steps) for run in world.store.runs.values())
        inputs += world.inputs_taken
        restarts += world.restarts
    worlds = SEEDS // BATCHES
    assert steps >= 11 * worlds
    assert inputs >= 85 * worlds
    assert restarts >= worlds


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_of_the_core_is_caught(mutant: Mutant) -> None:
    with mutant.planted() as subject, pytest.raises(Violation, match=mutant.caught_by):
        simulate_many(SEEDS_FOR_A_MUTANT, subject)


def simulate_many(seeds: int, subject: Subject) -> None:
    for seed in range(1, 1 + seeds):
        simulate(seed, subject)


def test_a_world_is_the_same_whenever_it_is_lived() -> None:
    once, again = simulate(7), simulate(7)

    assert once.store.log == again.store.log
