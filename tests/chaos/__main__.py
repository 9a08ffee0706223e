"""`./dev chaos`: real services in trouble, world after world. Says what was done, and which seed broke what.

It goes on until there were enough kills and disconnects and every crash point was met often enough; the last worlds are for the
points that fell short. What happens in a world follows from its seed and from what is printed with it, and from nothing else.

In the end it lives worlds whose services make a mistake on purpose (`twins`): where the judge misses it, the rest proved nothing.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.chaos.campaign import Asked, World, in_order, next_world, short_points
from tests.chaos.crash_points import CONDUCTOR_POINTS, HOST_POINTS, MISSING_POINTS
from tests.chaos.figures import Figures
from tests.chaos.scenarios import BRIEF_SCENARIOS, FEW_SCENARIOS
from tests.chaos.schedule import ALL_POINTS, CONDUCTOR, FEW_HOSTS, FEW_POINTS, HOST, act_of, acts, few
from tests.chaos.twins import TWINS
from tests.chaos.world import Plan, Verdict, live

if TYPE_CHECKING:
    from tests.chaos.evidence import Reference

SHORT_KILLS, SHORT_DISCONNECTS = 3, 60
SHARED_DISCONNECTS_OF_A_TWIN = 600  # so that the active conductor is superseded about ten times
FEW: Mapping[str, Any] = {"callers": 3, "scenarios": FEW_SCENARIOS, "hosts": FEW_HOSTS}
DEATHS_OF_A_TWIN = 3
SHOWN_FAULTS = 20


class Soak:
    """Worlds, one after the other."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        points = in_order(arguments.points)
        self.asked = Asked(arguments.seed, arguments.kills, arguments.disconnects, arguments.each, points)
        self.total = Figures()
        self.worlds = 0
        self.lacks: tuple[str, ...] = ()
        self.reference: Reference | None = None

    async def run(self) -> bool:
        """Lives worlds until there were enough kills, disconnects and deaths at every point; whether all promises were kept."""
        for_points = 0
        while world := next_world(self.asked, self.total, self.worlds, for_points):
            for_points += world.is_for_points
            if not await self._live(world):
                return False
        return True

    async def _live(self, world: World) -> bool:
        asked = self._arguments
        say(f"seed {world.seed}: at least {world.kills} kills and {world.disconnects} disconnects …")
        plan = Plan(world.seed, world.acts, world.disconnects, reference=self.reference, **_how(asked))
        plan = replace(plan, with_full_disks=plan.is_shared and not asked.short)
        if asked.short:
            plan = replace(plan, **(_brief(world) if plan.is_shared else {**FEW, "acts": few()}))
        verdict = await live(plan, keep=asked.keep)
        self.worlds += 1
        self.reference = verdict.reference
        self._tell(verdict)
        if verdict.faults:
            show(verdict.faults)
            arguments = f"--short --seed {world.seed}" if asked.short else world.arguments
            how = ("" if asked.cables else " --no-cables") + (" --tls" if asked.tls else "")
            how += " --store postgresql" if asked.store == "postgresql" else ""
            say(f"seed {world.seed} failed; again with: ./dev chaos {arguments}{how}")
        return not verdict.faults

    def _tell(self, verdict: Verdict) -> None:
        self.total.add(verdict.figures)
        say(f"  {verdict.figures}")
        if verdict.lacks != self.lacks:
            self.lacks = verdict.lacks
            for lack in self.lacks:
                say(f"  {lack}")

    async def find(self, twin: str) -> bool:
        """Lives a world whose services make a mistake; whether that was found."""
        times = 1 if self._arguments.short else DEATHS_OF_A_TWIN
        point = TWINS[twin].point
        act = act_of(CONDUCTOR if point in CONDUCTOR_POINTS else HOST, point, times)
        disconnects = SHARED_DISCONNECTS_OF_A_TWIN if TWINS[twin].is_shared else SHORT_DISCONNECTS
        plan = Plan(self._arguments.seed, (act,), disconnects, twin, **_how(self._arguments), **FEW)
        verdict = await live(replace(plan, reference=self.reference))
        found = (
            f"is found, as it must be: {verdict.faults[0]}"
            if verdict.faults
            else "IS NOT FOUND: nothing above is proven"
        )
        say(f"the mistake '{twin}', made on purpose, {found}")
        return bool(verdict.faults)


def _brief(world: World) -> dict[str, Any]:
    deaths = acts(world.seed, world.kills, world.points, FEW_HOSTS)
    return {"acts": deaths, "scenarios": BRIEF_SCENARIOS, "hosts": FEW_HOSTS}


def _how(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"with_cables": arguments.cables, "with_tls": arguments.tls, "is_shared": arguments.store == "postgresql"}


async def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    soak = Soak(arguments)
    is_good = await soak.run()
    missed = [twin for twin in arguments.twins if is_good and not await soak.find(twin)]
    short = short_points(soak.asked, soak.total) if is_good else []
    if soak.worlds > 1:
        say(f"{soak.worlds} worlds: {soak.total}")
    say("points of death: how often they were met, of how often they were planned:")
    for point, text in {**CONDUCTOR_POINTS, **HOST_POINTS}.items():
        say(f"  {soak.total.points[point]:4} of {soak.total.planned[point]:<4} {point:16} {text}")
    say(f"  without a place yet, as what they interrupt is not built: {', '.join(MISSING_POINTS)}")
    if short:
        say(f"met fewer than {arguments.each} times: {', '.join(short)}")
    if missed:
        say(f"mistakes made on purpose that were not found, so that nothing is proven: {', '.join(missed)}")
    say("every promise was kept" if is_good else "a promise was broken: see the fault above")
    return 1 if missed or short or not is_good else 0


def show(faults: Sequence[str]) -> None:
    for fault in faults[:SHOWN_FAULTS]:
        say(f"  FAULT {fault}")
    if len(faults) > SHOWN_FAULTS:
        say(f"  … and {len(faults) - SHOWN_FAULTS} more")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a program for people


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__, allow_abbrev=False)
    parser.add_argument("--kills", type=int, default=500, help="at least so many, over all worlds")
    parser.add_argument("--disconnects", type=int, default=10_000, help="at least so many")
    parser.add_argument("--each", type=int, default=10, help="every crash point is met at least so often")
    parser.add_argument("--points", nargs="+", default=ALL_POINTS, choices=ALL_POINTS, help="these crash points only")
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the next has the next")
    parser.add_argument(
        "--short", action="store_true", help="one small world and no mistake made on purpose, as in ./dev test"
    )
    parser.add_argument(
        "--twins", nargs="*", choices=list(TWINS), help="mistakes to be found; else all of this store's"
    )
    parser.add_argument(
        "--no-cables", dest="cables", action="store_false", help="hosts without network namespaces of their own"
    )
    parser.add_argument("--tls", action="store_true", help="all speak by TLS, with certificates of a pool of their own")
    parser.add_argument(
        "--store",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="postgresql: two conductors on a server of their own, which is killed, frozen, cut off and without room, too",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder of a world that failed")
    arguments = parser.parse_args()
    if arguments.twins is None:
        arguments.twins = [name for name, twin in TWINS.items() if twin.is_shared == (arguments.store == "postgresql")]
    if arguments.short:
        arguments.kills, arguments.disconnects, arguments.twins = SHORT_KILLS, SHORT_DISCONNECTS, ()
        arguments.each = 0
        if arguments.store == "postgresql":
            arguments.kills, arguments.points = len(FEW_POINTS), FEW_POINTS
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
