"""A soak lives worlds until it has what was asked for, ends always, and names what makes a world happen again."""

from collections import Counter
from dataclasses import replace

from tests.chaos.campaign import KILLS_OF_A_WORLD, MORE_WORLDS, Asked, next_world, short_points
from tests.chaos.figures import Figures
from tests.chaos.schedule import ALL_POINTS

ASKED = Asked(seed=100, kills=500, disconnects=10_000, each=10)
ENOUGH = Figures(
    kills=500, link_disconnects=5000, watcher_disconnects=5000, points=Counter(dict.fromkeys(ALL_POINTS, 10))
)


def test_it_goes_on_until_there_were_enough_kills_and_enough_disconnects() -> None:
    assert next_world(ASKED, Figures(), 0, 0) is not None
    assert next_world(ASKED, replace(ENOUGH, kills=499), 8, 0) is not None
    assert next_world(ASKED, replace(ENOUGH, link_disconnects=4999), 8, 0) is not None
    assert next_world(ASKED, ENOUGH, 8, 0) is None


def test_eight_worlds_make_the_kills_and_disconnects_that_are_asked_for() -> None:
    world = next_world(ASKED, Figures(), 0, 0)

    assert world is not None
    assert world.kills == KILLS_OF_A_WORLD
    assert 8 * world.kills >= ASKED.kills
    assert 8 * world.disconnects >= ASKED.disconnects


def test_points_that_fell_short_get_worlds_of_their_own_with_as_many_deaths_as_are_due() -> None:
    points = ENOUGH.points | Counter()
    points.update({"K12": -3, "H-adopting": -10})
    world = next_world(ASKED, replace(ENOUGH, points=points), 8, 0)

    assert world is not None
    assert (world.seed, world.kills, world.points) == (108, 13, ("K12", "H-adopting"))
    met = [death.point for act in world.acts for deaths in act.values() for death in deaths if death.point]
    assert set(met) == {"K12", "H-adopting"}


def test_it_ends_also_where_no_point_is_ever_met() -> None:
    nothing = replace(ASKED, kills=0, disconnects=0)
    for_points = 0
    while world := next_world(nothing, Figures(), for_points, for_points):
        for_points += world.is_for_points
        assert for_points <= MORE_WORLDS

    assert short_points(nothing, Figures()) == ALL_POINTS


def test_it_ends_where_a_point_is_never_met_and_names_it() -> None:
    never = replace(ENOUGH, points=Counter({point: 10 for point in ALL_POINTS if point != "K3"}))

    assert next_world(ASKED, never, 8 + MORE_WORLDS, MORE_WORLDS) is None
    assert short_points(ASKED, never) == ("K3",)


def test_a_world_is_lived_again_by_the_arguments_that_it_names() -> None:
    for asked in (ASKED, replace(ASKED, points=("K1", "H-cut")), replace(ASKED, kills=3, disconnects=5)):
        world = next_world(asked, Figures(), 4, 0)
        assert world is not None
        words = world.arguments.split()
        said = {word: words[words.index(word) + 1] for word in words if word in {"--seed", "--kills", "--disconnects"}}
        points = tuple(words[words.index("--points") + 1 :]) if "--points" in words else ALL_POINTS
        again = Asked(*(int(said[name]) for name in ("--seed", "--kills", "--disconnects")), each=0, points=points)
        assert next_world(again, Figures(), 0, 0) == world


def test_a_world_for_points_is_lived_again_by_its_arguments_too() -> None:
    world = next_world(ASKED, replace(ENOUGH, points=ENOUGH.points - Counter({"K2": 4})), 8, 0)

    assert world is not None
    assert world.arguments == "--seed 108 --kills 4 --disconnects 0 --each 0 --points K2"
    again = next_world(Asked(108, 4, 0, 0, ("K2",)), Figures(), 0, 0)
    assert again is not None
    assert again.acts == world.acts
