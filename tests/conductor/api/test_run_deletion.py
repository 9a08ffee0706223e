"""Deleting runs over the real server. Keeps B12."""

import uuid
from pathlib import Path

import pytest

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from servicekit.statuses import Refusal
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


async def test_a_run_that_has_ended_can_be_deleted_and_one_at_work_cannot(tmp_path: Path) -> None:
    """Keeps B12."""
    identity = "0b5ab2f4-1111-4222-8333-444455556688"
    working = ExecutionHost([started(), said("so far")])
    async with running_conductor(tmp_path, hosts={"alpha": working}) as it:
        run = await it.create(agent_step("talk"))
        await until(lambda: bool(working.executions))
        active = await refusal(it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name, request_id=identity)))
        next(iter(working.executions.values())).tell(finished())
        await it.settled(run.name)
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name, request_id=identity))
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name, request_id=identity))

        for call in (
            it.runs.GetRun(pb.GetRunRequest(name=run.name)),
            it.runs.WatchRun(pb.WatchRunRequest(name=run.name)),
            it.runs.CancelRun(pb.CancelRunRequest(name=run.name)),
            it.runs.GetReport(pb.GetReportRequest(name=run.name)),
            it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name)),
        ):
            told = await refusal(call)
            assert (told.code, told.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
        assert not (await it.runs.ListRuns(pb.ListRunsRequest())).runs
        bad = await refusal(it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name, request_id="no uuid")))
        since = [await _first_change(it, labels) for labels in ({}, {"team": "red"})]

    assert (active.code, active.reason) == ("FAILED_PRECONDITION", "RUN_ACTIVE")
    assert (bad.code, bad.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [change.run for change in since] == [run.name, ""]
    assert since[0].HasField("delete_time")
    assert not since[0].HasField("event")


async def _first_change(it: Running, labels: dict[str, str]) -> pb.WatchRunsResponse:
    """Returns what a client is told first that follows all runs from their beginning."""
    following = it.runs.WatchRuns(pb.WatchRunsRequest(resume_token="0", labels=labels))
    first = await following.read()
    following.cancel()
    assert isinstance(first, pb.WatchRunsResponse)
    return first


async def test_what_made_and_stopped_a_deleted_run_does_neither_again_now_or_after_a_restart(tmp_path: Path) -> None:
    """B2, B12: a client that asks again for hours, a proxy that replays."""
    asked = pb.CreateRunRequest(request_id=str(uuid.uuid4()), inline=flow_pb.Flow(name="flows/test"))
    async with running_conductor(tmp_path) as it:
        asked.inline.steps.append(agent_step("waits"))
        asked.workspace.path = str(it.workspace)
        run = (await it.runs.CreateRun(asked)).name
        stopping = pb.CancelRunRequest(name=run, request_id=str(uuid.uuid4()))
        await it.runs.CancelRun(stopping)
        await it.settled(run)
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=run))
        told = [await _ask_again(it, asked, stopping)]
    async with running_conductor(tmp_path) as it:
        told.append(await _ask_again(it, asked, stopping))

    for getting, creating, cancelling, other_creation, other_cancel in told:
        assert getting.hint.endswith("UTC: by request of socket")
        for refused in (creating, cancelling):
            assert (refused.code, refused.reason, refused.message) == ("NOT_FOUND", "RUN_NOT_FOUND", getting.message)
        assert creating.hint == f"the same request made it before; {getting.hint}"
        assert cancelling.hint == getting.hint
        for refused in (other_creation, other_cancel):
            assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def _ask_again(it: Running, asked: pb.CreateRunRequest, stopping: pb.CancelRunRequest) -> list[Refusal]:
    refused = [
        await refusal(it.runs.GetRun(pb.GetRunRequest(name=stopping.name))),
        await refusal(it.runs.CreateRun(asked)),
        await refusal(it.runs.CancelRun(stopping)),
        await refusal(
            it.runs.CreateRun(
                pb.CreateRunRequest(request_id=asked.request_id, flow="flows/survey", workspace=asked.workspace)
            )
        ),
        await refusal(
            it.runs.CancelRun(pb.CancelRunRequest(name=stopping.name, request_id=stopping.request_id, reason="?"))
        ),
    ]
    assert not (await it.runs.ListRuns(pb.ListRunsRequest())).runs
    return refused


async def test_a_request_id_is_the_same_however_it_is_spelt(tmp_path: Path) -> None:
    """Keeps B2: a UUID in capitals is that UUID."""
    identity = str(uuid.uuid4())
    asked = pb.CreateRunRequest(
        request_id=identity, inline=flow_pb.Flow(name="flows/test", steps=[agent_step("waits")])
    )
    async with running_conductor(tmp_path) as it:
        asked.workspace.path = str(it.workspace)
        first = await it.runs.CreateRun(asked)
        asked.request_id = identity.upper()
        again = await it.runs.CreateRun(asked)
        asked.priority = 1
        other = await refusal(it.runs.CreateRun(asked))

    assert again.name == first.name
    assert (other.code, other.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_a_request_id_in_capitals_cancels_and_deletes_as_the_same_one_does(tmp_path: Path) -> None:
    """Keeps B2."""
    cancelling, deleting = str(uuid.uuid4()), str(uuid.uuid4())
    async with running_conductor(tmp_path) as it:
        run = (await it.create(agent_step("waits"))).name
        await it.runs.CancelRun(pb.CancelRunRequest(name=run, request_id=cancelling))
        await it.settled(run)
        await it.runs.CancelRun(pb.CancelRunRequest(name=run, request_id=cancelling.upper()))
        other = await refusal(
            it.runs.CancelRun(pb.CancelRunRequest(name=run, request_id=cancelling.upper(), reason="another"))
        )
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=run, request_id=deleting.upper()))
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=run, request_id=deleting))
        unknown = await refusal(it.runs.DeleteRun(pb.DeleteRunRequest(name=run, request_id=str(uuid.uuid4()))))

    assert (other.code, other.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert unknown.reason == "RUN_NOT_FOUND"


async def test_what_deleted_a_run_cancels_no_other(tmp_path: Path) -> None:
    """Keeps B2."""
    identity = str(uuid.uuid4())
    async with running_conductor(tmp_path) as it:
        gone, waiting = [(await it.create(agent_step("waits"))).name for _ in range(2)]
        await it.runs.CancelRun(pb.CancelRunRequest(name=gone))
        await it.settled(gone)
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=gone, request_id=identity))
        told = await refusal(it.runs.CancelRun(pb.CancelRunRequest(name=waiting, request_id=identity)))
        left = await it.runs.GetRun(pb.GetRunRequest(name=waiting))

    assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert left.state in {pb.Run.STATE_QUEUED, pb.Run.STATE_RUNNING}


async def test_what_deleted_a_run_is_no_request_for_another(tmp_path: Path) -> None:
    """Keeps B2."""
    identity = str(uuid.uuid4())
    asked = pb.CreateRunRequest(
        request_id=identity, inline=flow_pb.Flow(name="flows/test", steps=[agent_step("waits")])
    )
    async with running_conductor(tmp_path) as it:
        run = await it.create(agent_step("waits"))
        await it.runs.CancelRun(pb.CancelRunRequest(name=run.name))
        await it.settled(run.name)
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name, request_id=identity))
        asked.workspace.path = str(it.workspace)
        told = await refusal(it.runs.CreateRun(asked))

    assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
