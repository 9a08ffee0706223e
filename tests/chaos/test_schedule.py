"""All trouble follows from the seed, and is enough."""

from collections import Counter
from itertools import islice

from tests.chaos.crash_points import CONDUCTOR_POINTS, HOST_POINTS
from tests.chaos.schedule import HOSTS, acts, cable_spells, freezes, weather

ALL_POINTS = {*CONDUCTOR_POINTS, *HOST_POINTS}


def test_a_seed_that_failed_goes_wrong_in_the_same_way_again() -> None:
    for number in (1, 2):
        assert acts(number, 60) == acts(number, 60)
        for host in HOSTS:
            assert list(islice(weather(number, host), 50)) == list(islice(weather(number, host), 50))
        assert list(islice(freezes(number), 50)) == list(islice(freezes(number), 50))
        assert list(islice(cable_spells(number), 50)) == list(islice(cable_spells(number), 50))
    assert acts(1, 60) != acts(2, 60)


def test_a_world_of_full_size_kills_at_every_point() -> None:
    planned = [death for act in acts(1, len(ALL_POINTS)) for deaths in act.values() for death in deaths]

    assert {death.point for death in planned if death.point} == ALL_POINTS


def test_only_the_points_that_are_named_kill() -> None:
    planned = [death.point for act in acts(1, 20, ("K12", "H-cut")) for deaths in act.values() for death in deaths]

    assert Counter(planned) == {"K12": 10, "H-cut": 10}


def test_cables_are_pulled_for_longer_than_tcp_and_pings_wait_and_all_else_befalls_them_too() -> None:
    spells = list(islice(cable_spells(1), 200))
    pulls = [spell.seconds for spell in spells if spell.is_pulled]
    bad = [spell.condition for spell in spells if not spell.is_pulled]

    assert {spell.host for spell in spells} == set(HOSTS)
    assert min(pulls) >= 1.0  # TCP repeats after 0.2 s
    assert max(pulls) > 15.0  # a ping is sent after 10 s, and may go unanswered for 5
    assert any(one.loss and one.jitter_seconds for one in bad)
    assert any(one.bytes_per_second for one in bad)


def test_as_many_deaths_are_planned_as_are_asked_for() -> None:
    for kills in (1, 5, 28, 100):
        assert sum(len(deaths) for act in acts(3, kills) for deaths in act.values()) == kills
