"""Lives simulated worlds: `./dev simulate --seeds 1000 --first 1`. Says which seed broke what, and what happened last in it.

The same seed lives the same world always. With `--twin NAME` it is a broken twin's (see `mutants` and `twins`): see it caught.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from tests.simulation.comparison import live_and_compare
from tests.simulation.mutants import MUTANTS
from tests.simulation.twins import TWINS
from tests.simulation.world import World

BATCH = 25


@dataclass
class Tally:
    """What came of some seeds."""

    seeds: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)  # seeds, and what was raised

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.seen += other.seen
        self.steps += other.steps
        self.failed += other.failed


def main() -> int:
    arguments = _parse()
    began = time.perf_counter()
    batches = [
        (first, min(BATCH, arguments.first + arguments.seeds - first), arguments.twin)
        for first in range(arguments.first, arguments.first + arguments.seeds, BATCH)
    ]
    tally = Tally()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for part in pool.map(live_batch, batches):
            tally.add(part)
            if part.failed:
                pool.shutdown(cancel_futures=True)
                break
    if tally.failed:
        _tell_failure(*tally.failed[0], arguments.twin)
        return 1
    seconds = time.perf_counter() - began
    print(f"{tally.seeds} seeds from {arguments.first} on hold; {seconds:.1f} s")
    print(f"on average {tally.steps / tally.seeds:.1f} steps, and:")
    for what, count in sorted(tally.seen.items()):
        print(f"  {count / tally.seeds:8.2f}  {what}")
    return 0


def live_batch(batch: tuple[int, int, str]) -> Tally:
    first, count, twin = batch
    tally = Tally()
    with _planted(twin):
        for seed in range(first, first + count):
            tally.seeds += 1
            try:
                world = live_and_compare(seed)
            except Exception:  # noqa: BLE001 — whatever it is, the seed is what one wants to know
                tally.failed.append((seed, traceback.format_exc(limit=-6)))
                return tally
            tally.seen += world.seen
            tally.steps += sum(len(run.steps) for run in world.store.runs.values())
    return tally


def _planted(twin: str) -> AbstractContextManager[None]:
    if not twin:
        return nullcontext()
    return next(one for one in (*TWINS, *MUTANTS) if one.name == twin).planted()


def _tell_failure(seed: int, raised: str, twin: str) -> None:
    """Lives the world again, and tells of its end; of one that holds now, what it raised the first time."""
    with _planted(twin):
        world = World(seed, traced=True)
        try:
            live_and_compare(seed, world)
        except Exception as error:  # noqa: BLE001 — it is what was asked for
            print("\n".join(world.trace or ()))
            traceback.print_exception(error, limit=-4)
        else:
            print(f"{raised}It holds when it is lived alone.")
    again = f" --twin '{twin}'" if twin else ""
    print(f"seed {seed} failed; again with: ./dev simulate --first {seed} --seeds 1{again}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=_at_least_one, default=1000, help="how many")
    parser.add_argument("--first", type=_at_least_one, default=1, help="the first seed")
    parser.add_argument("--jobs", type=_at_least_one, default=2, help="processes at a time")
    names = [one.name for one in (*TWINS, *MUTANTS)]
    parser.add_argument("--twin", default="", choices=["", *names], metavar="NAME", help="; ".join(names))
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"is a whole number from 1 on, not '{text}'")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
