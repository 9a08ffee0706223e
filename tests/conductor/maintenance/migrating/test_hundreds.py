"""Hundreds of runs there and back, as many as MIGRATED_RUNS says, and what callers see of a migrated conductor. Keeps K15."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conductor.v1 import run_service_pb2 as pb
from tests.conductor.maintenance.migrating.world import damage, fill, moved, read, served
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.conductor.store.material import run_name
from tests.fakes.execution_host import ExecutionHost, finding, said, started, with_findings

pytestmark = pytest.mark.processes
RUNS = int(os.environ.get("MIGRATED_RUNS", "200"))


async def seen(running: Running, runs: list[str]) -> list[Any]:
    """Reports in every form, watch histories, steps and lists, as bytes."""
    found: list[Any] = []
    for run in runs:
        for form in pb.Report.Format.values():
            request = pb.GetReportRequest(name=f"{run}/report", format=form)
            found.append((await running.runs.GetReport(request)).SerializeToString(deterministic=True))
        watched = await running.watch(run)
        found += [told.SerializeToString(deterministic=True) for told in watched if not told.HasField("progress")]
        found.append((await running.runs.GetStep(pb.GetStepRequest(name=f"{run}/steps/look"))).SerializeToString())
    found.append((await running.runs.ListRuns(pb.ListRunsRequest())).SerializeToString())
    return found


async def test_callers_see_the_same_reports_and_histories_in_a_database_and_back_in_a_folder(
    tmp_path: Path, database: str
) -> None:
    script = (started(), said("It is "), said("grüße → fine."), with_findings(finding("t", "high", 2, "two")))
    hosts = {"alpha": ExecutionHost(script)}
    async with running_conductor(tmp_path, hosts=hosts) as running:
        runs = [(await running.create(agent_step("look"))).name for _ in range(3)]
        for run in runs:
            await running.settled(run)
        await running.runs.DeleteRun(pb.DeleteRunRequest(name=runs.pop()))
        before = await seen(running, runs)
    home = tmp_path / "data"
    await moved(str(home), database)
    async with running_conductor(tmp_path, store=database) as running:
        there = await seen(running, runs)
        again = await running.runs.RetryRun(pb.RetryRunRequest(name=runs[0], all=True))
        await running.runs.CancelRun(pb.CancelRunRequest(name=again.name))
    await moved(database, str(home))
    async with running_conductor(tmp_path) as running:
        back = await seen(running, runs)
        known = await running.runs.GetRun(pb.GetRunRequest(name=again.name))

    assert there == before
    assert back[:-1] == before[:-1]
    assert known.retry_of == runs[0]


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_hundreds_of_runs_go_there_and_back(tmp_path: Path, database: str) -> None:
    home = str(tmp_path / "home")
    async with served(home) as store:
        await fill(store, RUNS)
    damage(home, run_name(7))
    async with served(home) as store:
        before = await read(store)
    await moved(home, database)
    async with served(database) as store:
        there = await read(store)
    await moved(database, home)
    async with served(home) as store:
        back = await read(store)

    assert len(before["runs"]) > 0.7 * RUNS
    assert there == before
    assert back == before


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_command_that_is_killed_again_and_again_gets_there(tmp_path: Path, database: str) -> None:
    """By SIGKILL, at any moment: ten times there, ten times back."""
    home, chance, kills = str(tmp_path / "home"), random.Random(7), 0
    async with served(home) as store:
        await fill(store, 120)
        before = await read(store)
    for source, target in ((home, database), (database, home)):
        for number in range(11):
            command = [sys.executable, "-m", "conductor.cli", "migrate", "--from", source, "--to", target]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                if number < 10:
                    time.sleep(0.3 + chance.random() * 1.2)
                    os.kill(process.pid, signal.SIGKILL)
                output = process.communicate()[0].decode()
            kills += process.returncode == -signal.SIGKILL
        assert process.returncode == 0, output
    async with served(home) as store:
        after = await read(store)

    assert kills > 3  # some come when it is done
    assert after == before
