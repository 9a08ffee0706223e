"""A step is tried again by the cause of what ended it, and its attempts show that cause. Keeps C5."""

from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as host_pb
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, started
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

BAD_RESULT = host_pb.Finished(outcome=host_pb.Finished.OUTCOME_SUCCEEDED, exit_code=0, result_json='{"findings":7}')


def step(**retries: int) -> flow_pb.Flow.Step:
    asked = flow_pb.Retries(**retries)  # type: ignore[arg-type]
    asked.first_pause.FromMilliseconds(10)
    work = flow_pb.AgentWork(agents=["scripted"], prompt="do it", max_attempts=3, retries=asked)
    return flow_pb.Flow.Step(id="s", agent=work)


async def test_a_result_of_the_wrong_form_is_asked_for_again_where_the_flow_says_so(tmp_path: Path) -> None:
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await it.create(step(schema=1))
        for number, end in enumerate((host_pb.ExecuteResponse(finished=BAD_RESULT), finished()), start=1):
            await until(lambda: len(host.executions) == number)  # noqa: B023 - it is awaited in this turn of the loop
            host.executions[f"{run.name.removeprefix('runs/')}-s-{number}"].tell(end)
        settled = await it.settled(run.name)
        attempts = settled.steps[0].attempts

    assert settled.state == pb.Run.STATE_SUCCEEDED
    assert len(attempts) == 2


async def test_an_attempt_shows_the_class_and_the_cause_that_its_host_gave(tmp_path: Path) -> None:
    end = host_pb.Finished(
        outcome=host_pb.Finished.OUTCOME_TIMED_OUT,
        reason="NEW_CLOCK",
        message="It was silent.",
        failure_class=host_pb.Finished.FAILURE_CLASS_FATAL,
        cause=host_pb.Finished.CAUSE_HANG,
    )
    host = ExecutionHost((started(), host_pb.ExecuteResponse(finished=end)))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await it.create(step(hang=1))
        await it.watch(run.name)
        shown = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/s"))

    assert [attempt.failure.cause for attempt in shown.attempts] == [pb.Failure.CAUSE_HANG] * 2
    assert {attempt.failure.kind for attempt in shown.attempts} == {pb.Failure.KIND_FATAL}
    assert shown.failure.cause == pb.Failure.CAUSE_HANG
