"""The engine's time: it never runs backwards, and while a run is at work no wall clock has a say in how long anything took."""

import time
from dataclasses import replace
from random import Random

import pytest

from conductor.clock import Past, Reading, SystemClock, continue_time, read_clocks

HOUR = 3600.0
# Up for 500 s when it was 10 000 on the wall.
THEN = Reading(wall=10_000.0, steady=500.0, boot="first")
AT_WORK = Past(last_time=10_020.0, is_at_work=True, boot="first", offset=9_500.0)


def test_time_is_wall_time_and_rises() -> None:
    clock = SystemClock()
    first = clock.now()

    assert abs(first - time.time()) < 60
    assert clock.now() >= first


def test_this_machine_names_its_boot() -> None:
    once, again = read_clocks(), read_clocks()

    assert once.boot
    assert once.boot == again.boot
    assert once.steady <= again.steady


@pytest.mark.parametrize("jump", [0.0, HOUR, -HOUR, 1e9])
def test_while_a_run_is_at_work_a_start_in_the_same_boot_goes_on_whatever_the_wall_clock_says(jump: float) -> None:
    """Keeps C6, I4, rule 7: a clock that is an hour wrong ends nothing early, and nothing late."""
    later = Reading(wall=10_100.0 + jump, steady=600.0, boot="first")

    assert continue_time(later, AT_WORK) + later.steady == 10_100.0


@pytest.mark.parametrize("boot", ["second", ""])
@pytest.mark.parametrize(
    ("wall", "begins"), [(10_100.0, 10_100.0), (10_100.0 + HOUR, 10_100.0 + HOUR), (9_000.0, 10_020.0)]
)
def test_in_another_boot_the_wall_clock_is_believed_but_never_before_what_is_stored(
    boot: str, wall: float, begins: float
) -> None:
    """Or what was to be tried again in a second would be tried again in an hour."""
    later = Reading(wall, steady=3.0, boot=boot)

    assert continue_time(later, AT_WORK) + later.steady == begins
    assert continue_time(later, replace(AT_WORK, boot=boot)) + later.steady == begins, "its steady clock is another one"


def test_when_nothing_is_measured_time_is_that_of_the_wall_again() -> None:
    """The machine came up with a wrong clock that was mended since."""
    later = Reading(wall=10_100.0 + HOUR, steady=600.0, boot="first")

    assert continue_time(later, replace(AT_WORK, is_at_work=False)) + later.steady == later.wall


def test_over_any_restarts_in_a_boot_what_is_measured_is_what_truly_passed() -> None:
    for seed in range(200):
        rng = Random(seed)
        steady, past = rng.uniform(1, 1e6), Past()
        begun: tuple[float, float] | None = None
        for _ in range(20):
            steady += rng.expovariate(0.1)
            reading = Reading(1e9 + rng.uniform(-1e6, 1e6), steady, "boot")
            offset = continue_time(reading, past)
            assert offset + steady >= past.last_time
            if not past.is_at_work:
                begun = (steady, offset + steady)
            assert begun is not None
            assert offset + steady - begun[1] == pytest.approx(steady - begun[0], abs=1e-6)
            past = Past(offset + steady + rng.random(), rng.random() < 0.8, "boot", offset)
            steady += 1.0
