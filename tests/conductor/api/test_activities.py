"""Tool calls, their results, usage and notices reach every reader typed, each once. Keeps D4 G1 G2 G3."""

import json
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as host_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, said, started

pytestmark = pytest.mark.processes

LARGE = "\x01" * 20_000  # takes 120 kB as a line: two rows of the store
FRAMES = (
    host_pb.ExecuteResponse(tool_call=host_pb.ToolCall(id="1", name="read", arguments_json='{"path":"ä"}')),
    host_pb.ExecuteResponse(tool_result=host_pb.ToolResult(id="1", failed=True, text=LARGE)),
    said("so"),
    host_pb.ExecuteResponse(usage=host_pb.Usage(input_tokens=7, output_tokens=0)),
    host_pb.ExecuteResponse(notice=host_pb.Notice(kind=host_pb.Notice.KIND_DENIAL, text="no")),
)
END = host_pb.Finished(
    outcome=host_pb.Finished.OUTCOME_SUCCEEDED,
    exit_code=0,
    result_json='{"findings":[]}',
    usage=host_pb.Usage(input_tokens=9, turns=2),
)
SCRIPT = (started(), *FRAMES, host_pb.ExecuteResponse(finished=END))
TOLD = [
    pb.Activity(tool_call=pb.ToolCall(id="1", name="read", arguments_json='{"path":"ä"}')),
    pb.Activity(tool_result=pb.ToolResult(id="1", failed=True, text=LARGE)),
    pb.Activity(usage=pb.Usage(input_tokens=7, output_tokens=0)),
    pb.Activity(notice=pb.Notice(kind=pb.Notice.KIND_DENIAL, text="no")),
]


def outputs(told: list[pb.WatchRunResponse]) -> list[pb.Output]:
    return [message.output for message in told if message.HasField("output")]


def activities(told: list[pb.WatchRunResponse]) -> list[pb.Activity]:
    return [activity for output in outputs(told) for activity in output.activities]


async def test_a_watcher_gets_each_activity_once_typed_and_as_the_line_that_it_always_was(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(SCRIPT)}) as it:
        run = await it.create(agent_step("s"))
        live = await it.watch(run.name)
        stored = await it.watch(run.name)

    assert activities(live) == activities(stored) == TOLD
    lines = "".join(output.text for output in outputs(stored) if output.channel == pb.Output.CHANNEL_ACTIVITY)
    assert [json.loads(line)["kind"] for line in lines.splitlines()] == ["tool_call", "tool_result", "usage", "notice"]
    assert not any(output.activities for output in outputs(stored) if output.channel == pb.Output.CHANNEL_ANSWER)


async def test_a_watcher_who_comes_back_in_the_middle_of_a_line_gets_what_it_says(tmp_path: Path) -> None:
    """Also where the line began in a row that the watcher had before."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(SCRIPT)}) as it:
        run = await it.create(agent_step("s"))
        whole = await it.watch(run.name)
        cut = [message for message in whole if message.HasField("output") and not message.output.text.endswith("\n")]
        assert any(message.output.channel == pb.Output.CHANNEL_ACTIVITY for message in cut)
        for place, message in enumerate(whole):
            rest = await it.watch(run.name, message.resume_token)
            assert activities(whole[: place + 1]) + activities(rest) == TOLD


async def test_reading_gives_the_activities_whose_lines_lie_in_what_is_read(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(SCRIPT)}) as it:
        run = await it.create(agent_step("s"))
        await it.watch(run.name)
        asked = pb.ReadOutputRequest(name=f"{run.name}/steps/s", channel=pb.Output.CHANNEL_ACTIVITY)
        whole = [piece async for piece in it.runs.ReadOutput(asked)]
        text = "".join(piece.text for piece in whole).encode()
        ends = [place + 1 for place, byte in enumerate(text) if byte == ord("\n")]
        asked.offset, asked.limit = ends[0] - 3, ends[2] - ends[0] + 4
        part = [piece async for piece in it.runs.ReadOutput(asked)]

    assert [activity for piece in whole for activity in piece.activities] == TOLD
    assert [activity for piece in part for activity in piece.activities] == TOLD[1:3]


async def test_an_attempt_shows_its_totals(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(SCRIPT)}) as it:
        run = await it.create(agent_step("s"))
        await it.watch(run.name)
        (attempt,) = (await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/s"))).attempts

    assert (attempt.input_tokens, attempt.HasField("output_tokens"), attempt.turns) == (9, False, 2)
