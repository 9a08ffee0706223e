"""`./dev chaos`: real services in trouble, world after world. Says what was done, and which seed broke what.

In the end it lives worlds whose services make a mistake on purpose (`twins`): where nobody finds that, the rest proved nothing.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.chaos.crash_points import CONDUCTOR_POINTS, HOST_POINTS, MISSING_POINTS
from tests.chaos.figures import Figures
from tests.chaos.scenarios import FEW_SCENARIOS
from tests.chaos.schedule import CONDUCTOR, HOST, act_of, acts, few
from tests.chaos.twins import TWINS
from tests.chaos.world import Plan, live

KILLS_OF_A_WORLD = 28
SHORT_KILLS, SHORT_DISCONNECTS = 3, 60
FEW: Mapping[str, Any] = {"callers": 3, "scenarios": FEW_SCENARIOS}
DEATHS_OF_A_TWIN = 3
SHOWN_FAULTS = 20


class Soak:
    """Worlds, one after the other."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self.total = Figures()
        self.worlds = 0

    async def run(self) -> bool:
        """Lives worlds until there were enough kills and disconnects; whether all of them kept every promise."""
        asked = self._arguments
        seed = asked.seed
        share = -(-asked.disconnects * KILLS_OF_A_WORLD // max(asked.kills, KILLS_OF_A_WORLD))
        while self.total.kills < asked.kills or self.total.disconnects < asked.disconnects:
            kills = min(KILLS_OF_A_WORLD, asked.kills)
            say(f"seed {seed}: at least {kills} kills and {min(share, asked.disconnects)} disconnects …")
            plan = Plan(seed, acts(seed, kills), min(share, asked.disconnects))
            verdict = await live(replace(plan, acts=few(), **FEW) if asked.short else plan, keep=asked.keep)
            self.total.add(verdict.figures)
            self.worlds += 1
            say(f"  {verdict.figures}")
            if verdict.faults:
                show(verdict.faults)
                size = f"--kills {asked.kills} --disconnects {asked.disconnects}"
                say(f"seed {seed} failed; again with: ./dev chaos --seed {seed} {size}")
                return False
            seed += 1
        return True

    async def find(self, twin: str) -> bool:
        """Lives a world whose services make a mistake; whether that was found."""
        known = TWINS[twin]
        times = 1 if self._arguments.short else DEATHS_OF_A_TWIN
        act = act_of(HOST if known.is_of_the_host else CONDUCTOR, known.point, times)
        verdict = await live(Plan(self._arguments.seed, (act,), SHORT_DISCONNECTS, twin, **FEW))
        found = (
            f"is found, as it must be: {verdict.faults[0]}"
            if verdict.faults
            else "IS NOT FOUND: nothing above is proven"
        )
        say(f"the mistake '{twin}', made on purpose, {found}")
        return bool(verdict.faults)


async def run(arguments: argparse.Namespace) -> int:
    """Gives the exit code."""
    soak = Soak(arguments)
    if not await soak.run():
        return 1
    missed = [twin for twin in arguments.twins if not await soak.find(twin)]
    say(
        f"every promise was kept: {soak.total}"
        if soak.worlds > 1
        else "every promise was kept; points of death that were met:"
    )
    for point, text in {**CONDUCTOR_POINTS, **HOST_POINTS}.items():
        say(f"  {soak.total.points[point]:4}  {point:16} {text}")
    say(f"  without a place yet, as what they interrupt is not built: {', '.join(MISSING_POINTS)}")
    return 1 if missed else 0


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
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the next has the next")
    parser.add_argument(
        "--short", action="store_true", help="one small world and no mistake made on purpose, as in ./dev test"
    )
    parser.add_argument("--twins", nargs="*", default=list(TWINS), choices=list(TWINS), help="mistakes to be found")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a world that failed")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.kills, arguments.disconnects, arguments.twins = SHORT_KILLS, SHORT_DISCONNECTS, ()
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
