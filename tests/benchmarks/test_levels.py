"""What a curve says of a level: whether the load is carried, and what was used up where it is not."""

from dataclasses import replace

import pytest

from benchmarks.load.gauges import Usage
from benchmarks.load.levels import Level

IDLE = Usage(0.2, 0.1, 0.0, 0.1, 0.0, 0.1, 0.4, 60.0)
CROWD = "the processors: the event loop waited for one 70 % of the time"
CARRIED = Level(10, [5.0] * 100, [4.0], 1.0, IDLE, players_late=1.0)


@pytest.mark.parametrize(
    ("level", "trouble"),
    [
        (CARRIED, ""),
        (replace(CARRIED, late=[5.0] * 90 + [400.0] * 10), "words were 400 ms late at p99"),
        (replace(CARRIED, delivered=0.5), "50 % of the words came"),
        (replace(CARRIED, late=[], delivered=0.0), "0 % of the words came"),
        (replace(CARRIED, decided=[4.0, 2000.0]), "a decision took 2,000 ms"),
        (replace(CARRIED, error="a watch: UNAVAILABLE"), "a watch: UNAVAILABLE"),
    ],
)
def test_a_level_is_carried_where_words_come_in_time_and_decisions_too(level: Level, trouble: str) -> None:
    assert level.trouble == trouble


@pytest.mark.parametrize(
    ("level", "cause"),
    [
        (replace(CARRIED, usage=replace(IDLE, loop=0.9)), "the conductor's event loop (90 % of a processor)"),
        (replace(CARRIED, usage=replace(IDLE, committing=0.9)), "the store's commits (90 % of the time)"),
        (replace(CARRIED, players_late=80.0), "the players of the load, 80 ms late themselves"),
        (
            replace(CARRIED, usage=replace(IDLE, loop=0.6, waited=0.3)),
            "the conductor's event loop (60 % of a processor), and the processors: the event loop waited for one 30 % of the time",
        ),
        (
            replace(CARRIED, usage=replace(IDLE, loop=0.2, waited=0.7, busy=2.0)),
            f"{CROWD}, and other programs of this machine (170 % of a processor)",
        ),
        (CARRIED, "nothing that is measured was used up"),
    ],
)
def test_what_gave_is_read_off_what_was_used_up_by_the_players_too(level: Level, cause: str) -> None:
    assert level.cause == cause
