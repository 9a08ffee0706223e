"""Runs no-op steps in DBOS on SQLite: `python dbos_steps.py FOLDER STEPS CHAINS LENGTH`. Prints JSON.

A chain is a workflow of steps; a fan-out is a workflow that starts a workflow for each and waits for all, as DBOS's own
documentation does it. SQLite's synchronous is what DBOS leaves it at, which is FULL. In process: nothing is sent.
Runs in an environment of its own, and knows nothing of this project.
"""

import json
import sys
import time
from pathlib import Path

from dbos import DBOS


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def chain(length: int) -> int:
    for number in range(length):
        step(number)
    return length


@DBOS.workflow()
def fan(width: int) -> int:
    handles = [DBOS.start_workflow(chain, 1) for _ in range(width)]
    return sum(handle.get_result() for handle in handles)


def timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def at_once(count: int, length: int) -> None:
    for handle in [DBOS.start_workflow(chain, length) for _ in range(count)]:
        handle.get_result()


def main(folder: Path, steps: int, chains: int, length: int) -> None:
    database = f"sqlite:///{folder}/dbos.sqlite"
    DBOS(config={"name": "bench", "system_database_url": database, "log_level": "ERROR", "run_admin_server": False})
    DBOS.launch()
    chain(2)
    found = {
        "chain": steps / timed(lambda: chain(steps)),
        "fan": steps / timed(lambda: fan(steps)),
        "chains": chains * length / timed(lambda: at_once(chains, length)),
    }
    print(json.dumps(found))
    DBOS.destroy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
