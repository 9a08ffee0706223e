"""RetryRun over the real server: what succeeded is kept, what failed runs again. Keeps B9, B12."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from agenthost.v1 import execution_service_pb2 as host_pb
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finding, finished, said, started, with_findings
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

FAILED = finished(host_pb.Finished.OUTCOME_FAILED)
KEPT_SAYING = "a long thought"
REPORT = "{{ steps.look.text }}|{{ steps.look.findings | length }}|{{ steps.try.text }}"
FLOW = (
    agent_step("look"),
    agent_step("try"),
    agent_step("after", "try"),
    flow_pb.Flow.Step(id="sum", needs=("look", "try", "after"), fold=flow_pb.FoldWork(template=REPORT)),
)


class Agents(ExecutionHost):
    """Agents that end as it is said here, by their step; every other one succeeds."""

    def __init__(self, **failing: bool) -> None:
        super().__init__((started(),))
        self.failing = failing

    def answer(self, execution: str) -> None:
        step = execution.split("-")[1]
        told = self.executions[execution]
        if len(told.frames) > 1:
            return
        end = FAILED if self.failing.get(step) else finished()
        if step == "look":
            end = with_findings(finding("Two is written.", "high", 2, "two"))
        told.tell(said(KEPT_SAYING if step == "look" else f"said by {step}"), end)

    async def answer_all(self, it: Running, run: str, *steps: str) -> pb.Run:
        """Answers for the steps of a run as they begin; returns the run at its end."""
        for step in steps:
            execution = f"{run.removeprefix('runs/')}-{step}-1"
            await until(lambda execution=execution: execution in self.executions)  # type: ignore[misc]
            self.answer(execution)
        return await it.settled(run)


def begun(host: ExecutionHost, run: str) -> list[str]:
    """Returns the steps of a run that the host's spawn log names."""
    return sorted(name.split("-")[1] for name in host.spawned if name.startswith(run.removeprefix("runs/")))


async def texts(it: Running, run: pb.Run) -> dict[str, str]:
    steps = [await it.runs.GetStep(pb.GetStepRequest(name=step.name)) for step in run.steps]
    return {step.label: step.text for step in steps}


async def test_only_what_failed_and_what_depends_on_it_runs_again(tmp_path: Path) -> None:
    """Keeps B9, B12: the source is deleted while its retry is at work, and the retry has everything all the same."""
    host = Agents(**{"try": True})
    identity = str(uuid.uuid4())
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        source = await it.create(*FLOW)
        asked = pb.RetryRunRequest(name=source.name, request_id=identity)
        early = await refusal(it.runs.RetryRun(asked))
        ended = await host.answer_all(it, source.name, "look", "try")
        (it.workspace / "a.txt").write_text("another tree\n")
        host.failing = {}
        retried = await it.runs.RetryRun(asked)
        again = await it.runs.RetryRun(asked)
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=source.name))
        done = await host.answer_all(it, retried.name, "try", "after")
        told = await texts(it, done)
        report = await it.runs.GetReport(pb.GetReportRequest(name=done.name))
        listed = await it.runs.ListFindings(pb.ListFindingsRequest(parent=done.name))
        watched = [one.finding.title for one in await it.watch(done.name) if one.HasField("finding")]

    assert (early.code, early.reason) == ("FAILED_PRECONDITION", "SOURCE_NOT_SETTLED")
    assert ended.state == pb.Run.STATE_FAILED
    assert (retried.name, retried.retry_of, retried.snapshot) == (again.name, source.name, source.snapshot)
    assert begun(host, source.name) == ["look", "try"]
    assert begun(host, retried.name) == ["after", "try"]
    assert done.state == pb.Run.STATE_SUCCEEDED
    assert {step.label: step.reused_from for step in done.steps if step.reused_from} == {
        "look": f"{source.name}/steps/look"
    }
    assert told["look"] == KEPT_SAYING
    assert told["sum"] == f"{KEPT_SAYING}|1|said by try"
    assert [found.title for found in listed.findings] == watched == ["Two is written."]
    assert listed.findings[0].step == f"{done.name}/steps/look"
    assert f"Kept from run `{source.name.removeprefix('runs/')}`: look" in report.markdown
    assert "3 of 3 attempts, by fake 1" in report.markdown


async def test_items_that_are_complete_are_kept(tmp_path: Path) -> None:
    """Keeps B9: of three items one failed; its agent alone is asked again, and the step has what all three gave."""
    host = Agents(**{"each.1.look": True})
    foreach = flow_pb.ForeachWork(items="['a', 'b', 'c']", steps=[agent_step("look")], min_success=0)
    told = "{{ steps.each['items'] | map(attribute='item') | join }} {{ steps.each['items'] | map(attribute='state') | join(' ') }}"
    steps = (
        flow_pb.Flow.Step(id="each", foreach=foreach),
        flow_pb.Flow.Step(id="sum", needs=("each",), fold=flow_pb.FoldWork(template=told)),
    )
    items = [f"each.{index}.look" for index in range(3)]
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        it.tellers["alpha"].change(features=["path_ids"])
        source = await it.create(*steps)
        before = await texts(it, await host.answer_all(it, source.name, *items))
        host.failing = {}
        retried = await it.runs.RetryRun(pb.RetryRunRequest(name=source.name))
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=source.name))
        done = await host.answer_all(it, retried.name, items[1])
        after = await texts(it, done)

    assert (before["sum"], after["sum"]) == ("abc succeeded failed succeeded", "abc succeeded succeeded succeeded")
    assert begun(host, retried.name) == [items[1]]
    assert sorted(step.reused_from for step in done.steps if step.reused_from) == [
        f"{source.name}/steps/{items[0]}",
        f"{source.name}/steps/{items[2]}",
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"step": "after"}, ["after"]),
        ({"step": "try"}, ["after", "try"]),
        ({"all": True}, ["after", "look", "try"]),
    ],
)
async def test_a_caller_chooses_what_runs_again(tmp_path: Path, choice: dict[str, Any], expected: list[str]) -> None:
    """Keeps B9: a run that succeeded can be retried, too; a retry can itself be retried."""
    host = Agents()
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        source = await it.create(*FLOW)
        await host.answer_all(it, source.name, "look", "try", "after")
        nothing = await refusal(it.runs.RetryRun(pb.RetryRunRequest(name=source.name)))
        foreign = await refusal(it.runs.RetryRun(pb.RetryRunRequest(name=source.name, step=f"{source.name}/steps/no")))
        for _ in range(2):
            chosen = {name: f"{source.name}/steps/{one}" if name == "step" else one for name, one in choice.items()}
            retried = await it.runs.RetryRun(pb.RetryRunRequest(name=source.name, **chosen))
            done = await host.answer_all(it, retried.name, *sorted(expected, key=["look", "try", "after"].index))
            assert begun(host, retried.name) == expected
            assert done.state == pb.Run.STATE_SUCCEEDED
            assert (await texts(it, done))["sum"] == f"{KEPT_SAYING}|1|said by try"
            source = retried

    assert (nothing.code, nothing.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert (foreign.code, foreign.reason) == ("NOT_FOUND", "STEP_NOT_FOUND")


async def test_the_report_of_a_retry_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    """Keeps B9: only what tells how and where it ran differs."""
    host = Agents(**{"try": True})
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        source = await it.create(*FLOW)
        await host.answer_all(it, source.name, "look", "try")
        host.failing = {}
        retried = await it.runs.RetryRun(pb.RetryRunRequest(name=source.name))
        await host.answer_all(it, retried.name, "try", "after")
        undisturbed = await it.create(*FLOW)
        await host.answer_all(it, undisturbed.name, "look", "try", "after")
        reports = [await it.runs.GetReport(pb.GetReportRequest(name=one.name)) for one in (retried, undisturbed)]

    documents = [json_format.MessageToDict(one.json) for one in reports]
    for document in documents:
        document.pop("execution")
    assert documents[0] == documents[1]
    before, _, _ = reports[0].markdown.partition("\n## Execution\n")
    assert before == reports[1].markdown.partition("\n## Execution\n")[0]
