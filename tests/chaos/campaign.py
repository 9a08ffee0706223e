"""Chooses the worlds that a soak lives, one after the other, until it has what was asked for. Pure: figures in, the next world out.

First worlds in which everything happens; then, for points of death that were not met often enough, worlds in which services die at
these alone. There is an end to those: a soak that cannot meet a point says so, and does not go on for ever.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.chaos.figures import Figures
from tests.chaos.schedule import ALL_POINTS, Act, acts

KILLS_OF_A_WORLD = 66  # twice everything
MORE_WORLDS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """Names the goals of a soak. `each`: how often every point is to be met."""

    seed: int
    kills: int
    disconnects: int
    each: int
    points: tuple[str, ...] = ALL_POINTS


@dataclass(frozen=True, slots=True)
class World:
    """One world's size; all that happens in it follows from that and its seed."""

    seed: int
    kills: int
    disconnects: int
    points: tuple[str, ...]
    is_for_points: bool = field(default=False, compare=False)

    @property
    def acts(self) -> tuple[Act, ...]:
        """Returns the deaths of each service."""
        return acts(self.seed, self.kills, self.points)

    @property
    def arguments(self) -> str:
        """Returns the arguments that make `./dev chaos` live just this world again."""
        which = "" if self.points == ALL_POINTS else f" --points {' '.join(self.points)}"
        return f"--seed {self.seed} --kills {self.kills} --disconnects {self.disconnects} --each 0{which}"


def next_world(asked: Asked, total: Figures, lived: int, lived_for_points: int) -> World | None:
    """The world to live next, after so many, of which some were for points that fell short; None where it is done."""
    seed = asked.seed + lived
    if total.kills < asked.kills or total.disconnects < asked.disconnects:
        kills = min(KILLS_OF_A_WORLD, asked.kills)
        share = -(-asked.disconnects * KILLS_OF_A_WORLD // max(asked.kills, KILLS_OF_A_WORLD))
        return World(seed, kills, min(share, asked.disconnects), asked.points)
    short = short_points(asked, total)
    if not short or lived_for_points >= MORE_WORLDS:
        return None
    due = sum(asked.each - total.points[point] for point in short)
    return World(seed, min(KILLS_OF_A_WORLD, due), 0, short, is_for_points=True)


def short_points(asked: Asked, total: Figures) -> tuple[str, ...]:
    """The points that were not met often enough."""
    return tuple(point for point in asked.points if total.points[point] < asked.each)


def in_order(points: Collection[str]) -> tuple[str, ...]:
    """The same points, as they are always named."""
    return tuple(point for point in ALL_POINTS if point in points)
