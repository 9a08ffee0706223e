"""Reads everything that the API answers about a run, as JSON."""

from typing import Any

from google.protobuf.json_format import MessageToDict

from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running

CHANNELS = [number for number in pb.Output.Channel.values() if number]
# Of a channel: all; from within a character; a piece that ends within one.
PIECES = ((0, 0), (3, 0), (1, 6))
EACH = 3  # of a run's tokens


async def read_run(running: Running, name: str) -> dict[str, Any]:
    """Asks for a settled run in every way."""
    run = await running.runs.GetRun(pb.GetRunRequest(name=name))
    return {
        "run": MessageToDict(run),
        "steps": [MessageToDict(await running.runs.GetStep(pb.GetStepRequest(name=step.name))) for step in run.steps],
        "outputs": {attempt: said async for attempt, said in _outputs(running, run)},
        "watch": await read_history(running, name),
        "findings": MessageToDict(await running.runs.ListFindings(pb.ListFindingsRequest(parent=name))),
        "report": MessageToDict(await running.runs.GetReport(pb.GetReportRequest(name=name))),
    }


async def read_history(running: Running, name: str, token: str = "") -> list[dict[str, Any]]:
    """Watches a run from a token to its end; progress is left out."""
    return [MessageToDict(told) for told in await running.watch(name, token) if not told.HasField("progress")]


async def find_holes(running: Running, name: str) -> list[str]:
    """Resumes a run at some of its tokens; returns where the rest of it does not follow."""
    whole = await read_history(running, name)
    return [
        f"{name} after {told['sequence']}"
        for number, told in enumerate(whole)
        if number % EACH == 0 and (await read_history(running, name, told["resumeToken"]))[1:] != whole[number + 1 :]
    ]


async def read_list(running: Running) -> list[dict[str, Any]]:
    """Lists all runs."""
    listed = await running.runs.ListRuns(pb.ListRunsRequest(page_size=500))
    return [MessageToDict(run) for run in listed.runs]


async def read_end(running: Running, name: str) -> dict[str, Any]:
    """Reads how a run ended, without what differs from one execution of it to another."""
    run = await running.settled(name)
    steps = {}
    for step in run.steps:
        whole = await running.runs.GetStep(pb.GetStepRequest(name=step.name))
        steps[step.name.rpartition("/")[2]] = {
            "state": pb.Step.State.Name(whole.state),
            "text": whole.text,
            "prompt": whole.prompt,
            "reason": whole.failure.reason,
            "findings": MessageToDict(whole.finding_counts),
            "attempts": [
                [attempt.id, pb.Attempt.State.Name(attempt.state), attempt.failure.reason] for attempt in whole.attempts
            ],
        }
    report = await running.runs.GetReport(pb.GetReportRequest(name=name))
    findings = await running.runs.ListFindings(pb.ListFindingsRequest(parent=name))
    return {
        "state": pb.Run.State.Name(run.state),
        "reason": run.failure.reason,
        "steps": steps,
        "findings": MessageToDict(findings),
        "report": report.markdown.partition("\n## Execution\n")[0],
    }


async def _outputs(running: Running, run: pb.Run) -> Any:
    for step in run.steps:
        for attempt in step.attempts:
            for channel in CHANNELS:
                for offset, limit in PIECES:
                    request = pb.ReadOutputRequest(
                        name=step.name, attempt=attempt.id, channel=channel, offset=offset, limit=limit
                    )
                    read = [MessageToDict(told) async for told in running.runs.ReadOutput(request)]
                    yield f"{attempt.id} {pb.Output.Channel.Name(channel)} {offset} {limit}", read
