"""What goes wrong follows from the seed, and is enough."""

from itertools import islice

from tests.chaos.crash_points import CONDUCTOR_POINTS, HOST_POINTS
from tests.chaos.schedule import HOSTS, acts, freezes, weather

ALL_POINTS = {*CONDUCTOR_POINTS, *HOST_POINTS}


def test_a_seed_that_failed_goes_wrong_in_the_same_way_again() -> None:
    for number in (1, 2):
        assert acts(number, 60) == acts(number, 60)
        for host in HOSTS:
            assert list(islice(weather(number, host), 50)) == list(islice(weather(number, host), 50))
        assert list(islice(freezes(number), 50)) == list(islice(freezes(number), 50))
    assert acts(1, 60) != acts(2, 60)


def test_a_world_of_full_size_kills_at_every_point() -> None:
    planned = [death for act in acts(1, len(ALL_POINTS)) for deaths in act.values() for death in deaths]

    assert {death.point for death in planned if death.point} == ALL_POINTS


def test_as_many_deaths_are_planned_as_are_asked_for() -> None:
    for kills in (1, 5, 28, 100):
        assert sum(len(deaths) for act in acts(3, kills) for deaths in act.values()) == kills
