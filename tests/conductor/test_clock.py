"""The engine's time: wall time, that runs backwards neither within a process nor from one to the next."""

import time

from conductor.clock import SystemClock


def test_time_is_wall_time_and_rises() -> None:
    clock = SystemClock()
    first = clock.now()

    assert abs(first - time.time()) < 60
    assert clock.now() >= first


def test_a_machine_whose_clock_was_set_back_does_not_take_the_stored_time_along() -> None:
    """Keeps rule 7: or what was to be tried again in a second would be tried again in an hour."""
    stored = time.time() + 3600.0

    assert SystemClock(earliest=stored).now() >= stored
