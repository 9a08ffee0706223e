"""Runs simulations: `python -m tests.simulation --seeds 1000 --first 1`. Says which seed broke what."""

import argparse
import sys
import time
import traceback

from tests.simulation.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    arguments = parser.parse_args()
    began = time.perf_counter()
    steps = inputs = restarts = 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        try:
            world = simulate(seed)
        except Exception:  # noqa: BLE001 — whatever it is, the seed is what one wants to know
            traceback.print_exc()
            print(f"seed {seed} failed; again with: python -m tests.simulation --first {seed} --seeds 1")  # noqa: T201
            return 1
        steps += sum(len(run.steps) for run in world.store.runs.values())
        inputs += world.inputs_taken
        restarts += world.restarts
    each = arguments.seeds
    seconds = time.perf_counter() - began
    print(  # noqa: T201
        f"{each} seeds hold: on average {steps / each:.1f} steps, {inputs / each:.0f} inputs, "
        f"{restarts / each:.1f} restarts; {seconds:.1f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
