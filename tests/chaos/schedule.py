"""Decides what goes wrong, and when: everything follows from the seed, so a seed that failed goes wrong in the same way again.

Not the same instant: the processes are real. Which point kills which process how often, what the network does one after the
other, whom a freeze meets and for how long: that is the same. Pure.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.chaos.crash_points import CONDUCTOR_POINTS, HOST_POINTS
from tests.chaos.proxy import Mood
from tests.chaos.wire import Condition

HOSTS = ("alpha", "beta", "gamma")
FEW_HOSTS = HOSTS[:2]
CONDUCTOR = "conductor"
# On PostgreSQL: a second conductor, and the database itself.
OTHER = "other"
DATABASE = "database"
ACTIVE = "active"  # of two conductors, the one that is
HOST = "host"  # any of them
ADOPTING = "H-adopting"
ALL_POINTS = (*CONDUCTOR_POINTS, *HOST_POINTS)
# How often a point may be passed before it kills: what happens with every token, with every attempt, or once in a run. Few enough
# to be met within seconds even where connections hardly hold.
_OFTEN = {"K4": 20, "K4-committed": 6, "H-cut": 20, ADOPTING: 3}
_RARE = frozenset({"K1", "K1-uncommitted", "K7-turn", "K8", "K8-applied", "K9", "K10", "K11", "K12", "K13"})
_TIMES_OF_AN_ATTEMPT = 2
# How many die anywhere in a round, in which every point comes once.
_ANYWHERE = 12
_LONG_PULLS = 0.15
# For how long connections are cut, how often, and how long there is peace then. There are far more watchers than hosts.
_HOSTS_WEATHER = (0.5, 1.5), (0.08, 0.3), (2.0, 4.0)
_WATCHERS_WEATHER = (1.5, 3.0), (0.2, 0.7), (0.5, 1.5)
# Each cut costs the active conductor a new epoch, and for some time no stream lives.
_DATABASES_WEATHER = (0.1, 0.4), (0.1, 0.3), (5.0, 9.0)
_NARROW_WAYS = 0.3


@dataclass(frozen=True, slots=True)
class Death:
    """Says how one life of a process ends: at a point, or after so many seconds wherever it is; with whom together.

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
class CableSpell:
    """Some time of one host's cable: pulled, or in a bad condition; then as long a time of peace."""

    host: str
    condition: Condition
    is_pulled: bool
    seconds: float
    peace: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """A process stands still: a service by its name, or one of the shims where that is empty."""

    after: float
    seconds: float
    service: str


@dataclass(frozen=True, slots=True)
class Fill:
    """The disk of the database is full for some seconds."""

    after: float
    seconds: float


Act = dict[str, tuple[Death, ...]]


def acts(seed: int, kills: int, points: Collection[str] = ALL_POINTS, hosts: Sequence[str] = HOSTS) -> tuple[Act, ...]:
    """Returns the deaths, act by act; in an act all services die side by side, each its own deaths one after the other.

    First the conductor at its points, then one host at some of theirs and another at the rest, so that there are always hosts
    that keep the world going; then all of them, wherever they are. Everything comes once before anything comes twice. Where only
    some points are named, no service dies anywhere else.
    """
    random = Random(f"deaths {seed}")
    of_conductor = tuple(point for point in CONDUCTOR_POINTS if point in points)
    of_hosts = tuple(point for point in HOST_POINTS if point in points)
    anywhere = ("",) * _ANYWHERE if set(points) == set(ALL_POINTS) else ()
    played: list[Act] = []
    while kills > 0:
        of_host = random.sample(of_hosts, len(of_hosts))
        one, other = random.sample(hosts, 2)
        half = len(of_host) // 2
        rounds: tuple[tuple[Sequence[str], tuple[str, ...]], ...] = (
            (random.sample(of_conductor, len(of_conductor)), (CONDUCTOR,)),
            (_adopting_first(of_host[:half]), (one,)),
            (_adopting_first(of_host[half:]), (other,)),
            (anywhere, (CONDUCTOR, *hosts)),
        )
        for some, names in rounds:
            chosen = some[: max(kills, 0)]
            kills -= len(chosen)
            played.append(
                {
                    name: tuple(_death(random, name, point, hosts) for point in chosen[number :: len(names)])
                    for number, name in enumerate(names)
                }
            )
    return tuple(played)


def shared(acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """Returns the same acts for two conductors, which die in turn; where all die anywhere, their database does, too."""
    played: list[Act] = []
    for act in acts:
        deaths = act.get(CONDUCTOR, ())
        if set(act) == {CONDUCTOR}:
            played += [{(CONDUCTOR, OTHER)[number % 2]: (death,)} for number, death in enumerate(deaths)]
        elif CONDUCTOR in act:
            database = tuple(
                replace(death, together=(), politely=number % 3 == 0) for number, death in enumerate(deaths)
            )
            played.append({**act, OTHER: deaths[::-1], DATABASE: database})
        else:
            played.append(act)
    return tuple(played)


def _adopting_first(points: Sequence[str]) -> Sequence[str]:
    """A host that was left alone for a while has most to adopt."""
    return sorted(points, key=lambda point: point != ADOPTING)


def few() -> tuple[Act, ...]:
    """A small choice, whose points are soon met: for a world that must not take long."""
    return ({CONDUCTOR: (Death("K4", 10), Death("K5", 1))}, {HOSTS[0]: (Death("H-cut", 10),)})


# Of a small world on PostgreSQL: each of these points is soon met, most while agents speak.
FEW_POINTS = (*("K2", "K3", "K4", "K4-committed", "K5", "K5-committed", "K6"), *("H-cut", "H-ended", ADOPTING))


def act_of(service: str, point: str, times: int) -> Act:
    """One service dies at one point, so often."""
    names = FEW_HOSTS if service == HOST else (service,)
    return {name: tuple(Death(point, 1 + number) for number in range(times)) for name in names}


def _death(random: Random, name: str, point: str, hosts: Sequence[str]) -> Death:
    if point:
        most = 1 if point in _RARE else _OFTEN.get(point, _TIMES_OF_AN_ATTEMPT)
        return Death(point, random.randint(1, most))
    others = [other for other in (CONDUCTOR, *hosts) if other != name]
    together = tuple(random.sample(others, random.choice((0, 0, 1, 2))))
    return Death(seconds=random.uniform(0.1, 3.0), together=together, politely=not together and random.random() < 0.5)


def weather(seed: int, network: str) -> Iterator[Spell]:
    """Yields the spells of one network, without end. A host's has more peace: where its streams hardly live, none feels a death."""
    random = Random(f"weather {seed} {network}")
    others = {"front": _WATCHERS_WEATHER, "database": _DATABASES_WEATHER}
    cut, every, peace = others.get(network.partition(" ")[0], _HOSTS_WEATHER)
    while True:
        yield Spell(Mood.PASS, random.uniform(*cut), cut_every=random.uniform(*every))
        mood = random.choice((Mood.DELAY, Mood.BLACKHOLE, Mood.SLOW))
        yield Spell(mood, random.uniform(0.3, 1.2), cut_every=random.choice((0.0, 0.5)))
        yield Spell(Mood.PASS, random.uniform(*peace))


def cable_spells(seed: int, hosts: Sequence[str] = HOSTS) -> Iterator[CableSpell]:
    """Yields what happens to the hosts' cables, without end: one after the other, so that there is always a host to work with.

    Most are pulled for longer than TCP takes to repeat a packet; some for longer than a ping may go unanswered (15 s).
    """
    random = Random(f"cables {seed}")
    while True:
        for is_pulled in (True, False, False):
            yield CableSpell(
                random.choice(hosts),
                Condition() if is_pulled else _bad(random),
                is_pulled,
                random.uniform(16.0, 18.0) if is_pulled and random.random() < _LONG_PULLS else random.uniform(1.0, 3.0),
                random.uniform(2.0, 5.0),
            )


def _bad(random: Random) -> Condition:
    """Some of everything, or a narrow way."""
    if random.random() < _NARROW_WAYS:
        return Condition(delay_seconds=0.02, bytes_per_second=random.randint(50_000, 200_000))
    return Condition(
        loss=random.uniform(0.01, 0.1),
        repeats=random.uniform(0.0, 0.05),
        delay_seconds=random.uniform(0.0, 0.05),
        jitter_seconds=random.uniform(0.0, 0.05),
    )


def freezes(seed: int, hosts: Sequence[str] = HOSTS, *, is_shared: bool = False) -> Iterator[Freeze]:
    """Yields the processes that stand still, without end. Of a shared database, at times for longer than the lease lasts."""
    random = Random(f"freezes {seed}")
    others, longest = ((OTHER, CONDUCTOR, OTHER, DATABASE), 5.0) if is_shared else ((), 2.0)
    pause = (2.0, 6.0) if is_shared else (0.5, 2.5)  # after a takeover, there must be time for some work
    while True:
        service = random.choice((CONDUCTOR, *hosts, "", "", *others))
        yield Freeze(random.uniform(*pause), random.uniform(0.2, longest), service)


def freezes_of_the_active(seed: int) -> Iterator[Freeze]:
    """Yields freezes of the active conductor for about as long as its lease, without end.

    It wakes up amid its work, about when the other conductor takes over: later, the other one has used the ids of that work.
    """
    random = Random(f"freezes of the active {seed}")
    while True:
        yield Freeze(random.uniform(1.0, 3.0), random.uniform(1.8, 3.5), ACTIVE)


def fills(seed: int) -> Iterator[Fill]:
    """Yields the times of a full disk, without end. A log that was begun has room for some more transactions, so some are long."""
    random = Random(f"fills {seed}")
    while True:
        yield Fill(random.uniform(10.0, 20.0), random.uniform(1.0, 6.0))
