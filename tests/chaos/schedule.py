"""What goes wrong, and when: everything follows from the seed, so a seed that failed goes wrong in the same way again.

Not the same instant: the processes are real. Which point kills which process how often, what the network does one after the
other, whom a freeze meets and for how long: that is the same. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.chaos.crash_points import CONDUCTOR_POINTS, HOST_POINTS
from tests.chaos.proxy import Mood

HOSTS = ("alpha", "beta")
CONDUCTOR = "conductor"
HOST = "host"  # any of them
# How often a point may be passed before it kills: what happens with every token, with every attempt, or once in a run.
_OFTEN = {"K4": 60, "K4-committed": 40, "H-cut": 60}
_RARE = frozenset({"K1", "K1-uncommitted", "K11", "K12", "K13", "H-adopting"})
_TIMES_OF_AN_ATTEMPT = 4


@dataclass(frozen=True, slots=True)
class Death:
    """How one life of a process ends: at a point, or after so many seconds wherever it is; with whom together.

    `politely`: it is asked to end (SIGTERM), and must.
    """

    point: str = ""
    count: int = 1
    seconds: float = 1.0
    together: tuple[str, ...] = ()
    politely: bool = False


@dataclass(frozen=True, slots=True)
class Spell:
    """Some time of one kind of network. `cut_every` seconds every connection is reset; never where it is 0."""

    mood: Mood
    seconds: float
    cut_every: float = 0.0


@dataclass(frozen=True, slots=True)
class Freeze:
    """Somebody stands still: a service by its name, or one of the shims where that is empty."""

    after: float
    seconds: float
    service: str


Act = dict[str, tuple[Death, ...]]


def acts(seed: int, kills: int) -> tuple[Act, ...]:
    """Who dies how, act by act; in an act all services die side by side, each its own deaths one after the other.

    First the conductor at its points, then the hosts at theirs, so that the one is there for the other to get to its points;
    then both, wherever they are. Everything comes once before anything comes twice.
    """
    random = Random(f"deaths {seed}")
    played: list[Act] = []
    while kills > 0:
        for points, names in ((CONDUCTOR_POINTS, (CONDUCTOR,)), (HOST_POINTS, HOSTS), (("",) * 6, (CONDUCTOR, *HOSTS))):
            chosen = random.sample(tuple(points), len(points))[: max(kills, 0)]
            kills -= len(chosen)
            played.append(
                {
                    name: tuple(_death(random, name, point) for point in chosen[number :: len(names)])
                    for number, name in enumerate(names)
                }
            )
    return tuple(played)


def few() -> tuple[Act, ...]:
    """A small choice, whose points are soon met: for a world that must not take long."""
    return ({CONDUCTOR: (Death("K4", 10), Death("K5", 1))}, {HOSTS[0]: (Death("H-cut", 10),)})


def act_of(service: str, point: str, times: int) -> Act:
    """One service dies at one point, so often."""
    names = HOSTS if service == HOST else (service,)
    return {name: tuple(Death(point, 1 + number) for number in range(times)) for name in names}


def _death(random: Random, name: str, point: str) -> Death:
    if point:
        most = 1 if point in _RARE else _OFTEN.get(point, _TIMES_OF_AN_ATTEMPT)
        return Death(point, random.randint(1, most))
    others = [other for other in (CONDUCTOR, *HOSTS) if other != name]
    together = tuple(random.sample(others, random.choice((0, 0, 1, 2))))
    return Death(seconds=random.uniform(0.1, 3.0), together=together, politely=not together and random.random() < 0.5)


def weather(seed: int, network: str) -> Iterator[Spell]:
    """What one network is like, without end."""
    random = Random(f"weather {seed} {network}")
    while True:
        yield Spell(Mood.PASS, random.uniform(1.5, 3.0), cut_every=random.uniform(0.08, 0.3))
        mood = random.choice((Mood.DELAY, Mood.BLACKHOLE, Mood.SLOW))
        yield Spell(mood, random.uniform(0.3, 1.2), cut_every=random.choice((0.0, 0.5)))
        yield Spell(Mood.PASS, random.uniform(0.5, 1.5))


def freezes(seed: int) -> Iterator[Freeze]:
    """Who stands still, without end."""
    random = Random(f"freezes {seed}")
    while True:
        service = random.choice((CONDUCTOR, *HOSTS, "", ""))
        yield Freeze(random.uniform(0.5, 2.5), random.uniform(0.2, 2.0), service)
