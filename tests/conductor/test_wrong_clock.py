"""A real conductor is started again on a machine whose wall clock was set meanwhile. See `conductor/clock.py`."""

import asyncio
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from conductor.config import Limits
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import server_service_pb2 as server_pb
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.conductor.test_standby import LEASE_SECONDS, paired, role, until_active

pytestmark = pytest.mark.processes

HOUR = 3600.0
TIMEOUT = 600.0


async def now_of(it: Running) -> float:
    info = await it.server.GetServerInfo(server_pb.GetServerInfoRequest())
    return float(info.start_time.ToNanoseconds() / 1e9)


async def test_a_clock_that_jumped_over_a_restart_ends_nothing_early_and_is_believed_when_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps C6, I4: the run has ten minutes, the wall clock says that an hour has passed, and no minute has."""
    real = time.time
    async with running_conductor(tmp_path) as it:
        flow = flow_pb.Flow(name="flows/test", steps=[agent_step("waits")])
        flow.timeout.FromSeconds(int(TIMEOUT))
        asked = pb.CreateRunRequest(inline=flow, workspace=pb.Workspace(path=str(it.workspace)))
        run = await it.runs.CreateRun(asked)
        created = run.create_time.ToNanoseconds() / 1e9

    monkeypatch.setattr(time, "time", lambda: real() + HOUR)
    with capture_logs() as logs:
        async with running_conductor(tmp_path, limits=Limits(progress_seconds=0, stop_seconds=1)) as it:
            begun = await now_of(it)
            watching = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
            progress = await anext(told async for told in watching if told.HasField("progress"))
            assert created <= progress.time.ToNanoseconds() / 1e9 < created + TIMEOUT
            watching.cancel()
            assert created <= begun < created + TIMEOUT
            assert not (await it.runs.GetRun(pb.GetRunRequest(name=run.name))).HasField("end_time")
            await it.runs.CancelRun(pb.CancelRunRequest(name=run.name))
            ended = await it.settled(run.name)
    async with running_conductor(tmp_path) as it:
        again = await now_of(it)

    assert ended.state == pb.Run.STATE_CANCELLED
    assert begun <= ended.end_time.ToNanoseconds() / 1e9 < created + TIMEOUT
    assert [log["ahead_seconds"] for log in logs if log["event"] == "time_differs"] == [pytest.approx(-HOUR, abs=5)]
    assert again > created + HOUR - 5


@pytest.mark.long
@pytest.mark.parametrize("ahead", [24 * HOUR, -24 * HOUR])
async def test_the_wall_clock_of_a_standby_moves_no_lease_and_no_time_of_runs(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, *, ahead: float
) -> None:
    """Keeps K15: the lease ends by the server's clock alone, and the engine's time goes on from there after a takeover."""
    real = time.time
    async with paired(tmp_path, database) as pair:
        active = await pair.start("a")
        await until_active(active)
        first = await active.create(agent_step("one"))
        monkeypatch.setattr(time, "time", lambda: real() + ahead)
        standby = await pair.start("b")
        await asyncio.sleep(2 * LEASE_SECONDS)
        held = [await role(active), await role(standby)]
        active.stop.set()
        await until_active(standby)
        second = await standby.create(agent_step("two"))

    assert held == ["active", "standby"]
    times = [run.create_time.ToNanoseconds() / 1e9 for run in (first, second)]
    assert 0.0 < times[1] - times[0] < 60.0
    assert times == pytest.approx([real()] * 2, abs=60.0)
