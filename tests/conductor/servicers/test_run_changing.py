"""Deleting runs over the real server. Keeps B12."""

from pathlib import Path

from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import agent_step, refusal, running_conductor, until
from tests.fakes.execution_host import ExecutionHost, finished, said, started


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
        all_runs = it.runs.WatchRuns(pb.WatchRunsRequest(resume_token="0"))
        first = await all_runs.read()
        all_runs.cancel()

    assert (active.code, active.reason) == ("FAILED_PRECONDITION", "RUN_ACTIVE")
    assert (bad.code, bad.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert not first.run
