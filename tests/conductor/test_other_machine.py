"""A conductor on another machine goes on with a database and copies of snapshots, without the folders of the first. Keeps K15."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.errors import ConfigurationError
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finding, started, with_findings
from tests.kit.s3_server import ENVIRONMENT, s3_server

pytestmark = pytest.mark.processes


Places = dict[str, str]


@pytest.fixture(params=[pytest.param("folder", marks=pytest.mark.long), "s3", "database"])
def places(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    if request.param == "folder":
        yield {"blobs": str(tmp_path / "blobs")}
        return
    if request.param == "database":
        yield {"store": request.getfixturevalue("database")}
        return
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with s3_server(tmp_path / "s3") as server:
        yield {"blobs": server.url}


async def test_a_run_is_made_again_where_neither_its_workspace_nor_its_snapshot_folder_is(
    tmp_path: Path, places: Places
) -> None:
    script = (started(), with_findings(finding("t", "high", 2, "two")))
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}, **places) as running:
        run = await running.create(agent_step("look"))
        await running.settled(run.name)
    shutil.rmtree(tmp_path / "data" / ("" if "store" in places else "snapshots"))
    (tmp_path / "workspace").rename(tmp_path / "elsewhere")
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}, **places) as running:
        (tmp_path / "workspace" / "a.txt").write_text("other\n")
        again = await running.runs.RetryRun(pb.RetryRunRequest(name=run.name, all=True))
        ended = await running.settled(again.name)

    assert ended.snapshot.commit == run.snapshot.commit != ""
    assert ended.finding_counts.verified == 1
    assert ended.state == pb.Run.STATE_SUCCEEDED


async def test_a_copy_goes_with_the_last_run_that_needs_it(tmp_path: Path) -> None:
    script = (started(), with_findings(finding("t", "high", 2, "two")))
    blobs = tmp_path / "blobs"
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}, blobs=str(blobs)) as running:
        runs = [(await running.create(agent_step("look"))).name for _ in range(2)]
        for run in runs:
            await running.settled(run)
        counts = []
        for run in runs:
            counts.append(len(list(blobs.glob("*/snapshots/*/*"))))
            await running.runs.DeleteRun(pb.DeleteRunRequest(name=run))
            while list(blobs.glob(f"*/{run}/*")):
                await asyncio.sleep(0.01)
        while list(blobs.glob("*/snapshots/*/*")):
            await asyncio.sleep(0.01)

    assert counts == [1, 1]


async def test_without_a_place_for_the_copy_no_run_is_made(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file is in the way")
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost()}, blobs=str(tmp_path / "blobs")) as running:
        refused = await refusal(running.create(agent_step("look")))
        listed = await running.runs.ListRuns(pb.ListRunsRequest())

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "BLOBS_UNAVAILABLE")
    assert not listed.runs


async def test_a_folder_of_one_machine_serves_no_shared_store(tmp_path: Path, database: str) -> None:
    with pytest.raises(ConfigurationError, match="serves one machine") as caught:
        async with running_conductor(tmp_path, store=database, blobs=str(tmp_path / "blobs")):
            pass

    assert "--shared-data" in caught.value.hint
