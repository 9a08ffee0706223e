"""A real conductor is started again on a machine whose wall clock was set meanwhile. See `conductor/clock.py`."""

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from conductor.config import Limits
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import server_service_pb2 as server_pb
from tests.conductor.running_conductor import Running, agent_step, running_conductor

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
