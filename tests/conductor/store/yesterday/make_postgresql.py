"""Makes what a later version must open of a schema in PostgreSQL: the runs of `make`, and what the other tables hold.

    python -m tests.conductor.store.yesterday.make_postgresql       writes postgresql-N.json.xz beside this file

Run it once per schema version, before the version after it is begun; the file stays as it is from then on. Beside the rows stands
what the API answered of each run that ended.
"""

import asyncio
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conductor.store.postgresql.schema import SCHEMA_VERSION, Schema
from conductor.store.postgresql.store import PostgresqlStore
from conductor.v1 import access_service_pb2 as access_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, running_conductor
from tests.conductor.store.whole_runs import compact
from tests.conductor.store.yesterday.make import HERE, fill
from tests.kit.databases import Databases
from tests.kit.dumps import Dump
from tests.kit.postgresql import share
from tests.yesterday.archive import keep
from tests.yesterday.reading import read_run

ADDED_HOST = "hosts/far"
DELETED_REQUEST = "0b5ab2f4-1111-4222-8333-444455556688"
RETRY_REQUEST = "0b5ab2f4-1111-4222-8333-444455556699"
LEASE_SECONDS = 12


async def make(url: str, folder: Path) -> dict[str, Any]:
    fill(folder, "--store", url)
    async with await PostgresqlStore.open(url) as store:
        for _, run in await store.uncompacted_runs(time.time(), (0.0, "")):
            await compact(store, run)
    time.sleep(LEASE_SECONDS)
    async with running_conductor(folder, store=url) as running:
        await _fill_the_rest(running)
        answers = [await read_run(running, name) for name in await list_ended(running)]
    return {**asdict(Dump.take(url, Schema().script.read_text())), "answers": answers}


async def list_ended(running: Running) -> list[str]:
    listed = await running.runs.ListRuns(pb.ListRunsRequest(page_size=500))
    return [run.name for run in listed.runs if run.HasField("end_time")]


async def _fill_the_rest(running: Running) -> None:
    token = access_pb.CreateTokenRequest(name="ann", role=access_pb.ROLE_VIEWER)
    await running.access.CreateToken(token)
    await running.pool.AddHost(
        pool_pb.AddHostRequest(name=ADDED_HOST, address="unix:/far.sock", request_id=DELETED_REQUEST)
    )
    retried = await running.runs.RetryRun(pb.RetryRunRequest(name=await _failed(running), request_id=RETRY_REQUEST))
    await running.runs.CancelRun(pb.CancelRunRequest(name=retried.name))
    await running.settled(retried.name)
    await running.runs.DeleteRun(pb.DeleteRunRequest(name=retried.name, request_id=DELETED_REQUEST))


async def _failed(running: Running) -> str:
    asked = pb.ListRunsRequest(states=[pb.Run.STATE_FAILED])
    return str((await running.runs.ListRuns(asked)).runs[0].name)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        made = asyncio.run(make(Databases(share(Path(name))).take(), Path(name)))
    target = HERE / f"postgresql-{SCHEMA_VERSION}.json.xz"
    keep(made, target)
    empty = [table for table, rows in made["rows"].items() if not rows]
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes; empty tables: {empty}\n")


if __name__ == "__main__":
    main()
