"""A conductor's store at work, to be killed: it appends and says each position once it is acknowledged.

python appender.py FOLDER   prints `RUN POSITION` lines for ever, first of a run from before where there is one
"""

import asyncio
import sys
from pathlib import Path

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import StepBecameReady
from conductor.core.model.output import Channel
from conductor.store.records import RunFilter
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import attempt, creation, run_name, said

RUNS = 3


async def work(folder: Path) -> None:
    store = await SqliteStore.open(folder)
    known = {row.run for row in (await store.runs(RunFilter(), 500)).rows}
    runs = [run_name(store.epoch * 10 + number) for number in range(RUNS)]
    for run in runs:
        assert run not in known
        await tell(store, creation(run))
        await tell(store, attempt(run))
    number = 0
    while True:
        number += 1
        run = runs[number % RUNS]
        items = (
            said(run, f"{number} "),
            Record(run, StepBecameReady("docs"), f"key {number}"),
            said(run, "more", Channel.LOG),
        )
        await tell(store, Decision(to_store=items, durable=number % 5 == 0))


async def tell(store: SqliteStore, decision: Decision) -> None:
    for run, position in (await store.append(decision, 1.0)).items():
        sys.stdout.write(f"{run} {position}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
