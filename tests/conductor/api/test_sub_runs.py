"""Flows that run other flows, seen from outside. Keeps B13."""

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf import json_format

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finding, started, with_findings
from tests.kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

FLOWS = {
    "outer.yaml": """
        question_required: true
        steps:
          - id: facts
            fold: {template: "three"}
          - id: deep
            needs: [facts]
            flow:
              flow: parts/told
              inputs: {angles: [a, b], count: size(steps.facts.text)}
          - id: end
            needs: [deep]
            fold: {template: "<{{ steps.deep.text }}>"}
        """,
    "parts/told.yaml": """
        input_schema:
          type: object
          properties: {angles: {type: array, items: {type: string}}, count: {type: integer}}
          required: [angles]
        report_template: "{{ steps.told.text }}"
        steps:
          - id: told
            fold: {template: "{{ inputs.angles | join('+') }} of {{ inputs.count }}: {{ inputs.question }}"}
        """,
    "review.yaml": """
        steps:
          - id: spine
            flow:
              flow: parts/spine
              inputs:
                angles: [{persona: newcomer, task: read it}, {persona: sceptic, task: doubt it}]
          - id: merged
            needs: [spine]
            fold: {merge: {}}
        """,
    "parts/spine.yaml": """
        input_schema:
          type: object
          properties:
            angles: {type: array, items: {type: object, required: [persona, task]}}
          required: [angles]
        steps:
          - id: look
            foreach:
              items: inputs.angles
              as: angle
              steps:
                - id: find
                  agent:
                    agents: [scripted]
                    persona: "{{ angle.persona }}"
                    contracts: [output]
                    prompt: "{{ angle.task }}"
          - id: merged
            needs: [look]
            fold: {merge: {}}
        """,
    "unpinned.yaml": """
        steps:
          - id: spine
            flow:
              flow: parts/spine
              inputs: {angles: '[{"persona": "new" + "comer", "task": "x"}]'}
        """,
    "asking.yaml": "steps: [{id: deep, flow: {flow: parts/one}}]",
    "parts/one.yaml": "steps: [{id: one, agent: {agents: [scripted], prompt: say one}}]",
    "asks.yaml": """
        outputs: {twice: steps.gives.output.number * 2, words: steps.gives.output.words}
        steps:
          - id: gives
            flow: {flow: parts/gives}
        """,
    "parts/gives.yaml": """
        outputs: {number: size(steps.told.text), words: "[steps.told.text, 'four']", lost: 1 / (size(steps.told.text) - 13)}
        steps: [{id: told, fold: {template: one two three}}]
        """,
    "circle.yaml": "steps: [{id: a, flow: {flow: parts/back}}]",
    "parts/back.yaml": "steps: [{id: a, flow: {flow: circle}}]",
    "wrong.yaml": """
        steps:
          - id: one
            flow:
              flow: parts/told
              inputs: {angels: [a]}
          - id: two
            flow:
              flow: parts/tolt
              inputs: {x: steps.nope.text, y: '"unclosed'}
        """,
    **{f"parts/level{n}.yaml": f"steps: [{{id: a, flow: {{flow: parts/level{n + 1}}}}}]" for n in range(1, 4)},
    "parts/level4.yaml": "steps: [{id: a, fold: {template: deepest}}]",
    "deep.yaml": "steps: [{id: a, flow: {flow: parts/level2}}]",
    "deeper.yaml": "steps: [{id: a, flow: {flow: parts/level1}}]",
}
FOUND = with_findings(finding("It is one", "high", 1, "one"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("sub")
    write_project(folder / "project/.conductor")
    hosts = {"alpha": ExecutionHost([started()])}
    async with running_conductor(folder, hosts=hosts, project=folder / "project") as running:
        running.tellers["alpha"].change(features=["path_ids"])
        yield running


def write_project(folder: Path) -> None:
    (folder / "flows/parts").mkdir(parents=True)
    (folder / "personas").mkdir()
    for name, text in FLOWS.items():
        (folder / "flows" / name).write_text(textwrap.dedent(text))
    for name in ("newcomer", "sceptic", "other"):
        (folder / f"personas/{name}.md").write_text(f"You are the {name}.\n")


async def start(it: Running, flow: str, question: str = "why?") -> pb.Run:
    asked = pb.CreateRunRequest(flow=f"flows/{flow}", workspace=pb.Workspace(path=str(it.workspace)))
    asked.inputs.update({"question": question})
    run: pb.Run = await it.runs.CreateRun(asked)
    return run


async def step(it: Running, run: pb.Run, name: str) -> pb.Step:
    told: pb.Step = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/{name}"))
    return told


async def sub_run(it: Running, run: pb.Run, name: str) -> pb.Run:
    told: pb.Run = await it.runs.GetRun(pb.GetRunRequest(name=(await step(it, run, name)).sub_run))
    return told


async def test_a_step_runs_another_flow_whose_report_is_its_text(it: Running) -> None:
    run = await it.settled((await start(it, "outer")).name)
    deep, end = run.steps[1], await step(it, run, "end")
    below = await sub_run(it, run, "deep")

    assert deep.kind == pb.Step.KIND_FLOW
    assert end.text == "<a+b of 5: why?\n>"
    assert (below.parent, below.flow, below.snapshot) == (deep.name, "flows/parts/told", run.snapshot)
    assert below.name.removeprefix("runs/").isalnum()


async def test_the_outputs_of_a_flow_are_those_of_the_step_that_calls_it(it: Running) -> None:
    """Keeps B13."""
    run = await it.settled((await start(it, "asks")).name)
    below = await sub_run(it, run, "gives")
    report = await it.runs.GetReport(pb.GetReportRequest(name=below.name))
    given = {"lost": None, "number": 13, "words": ["one two three", "four"]}

    run = await it.runs.GetRun(pb.GetRunRequest(name=run.name))
    assert pb.Run.State.Name(run.state) == "STATE_SUCCEEDED"
    assert json_format.MessageToDict(run.outputs) == {"twice": 26, "words": ["one two three", "four"]}
    assert json_format.MessageToDict(below.outputs) == given
    assert json_format.MessageToDict((await step(it, run, "gives")).output) == given
    assert json_format.MessageToDict(report.json)["outputs"] == given
    assert "the output 'lost' cannot be evaluated" in report.markdown


async def test_a_part_gets_personas_as_inputs_and_its_findings_are_those_of_the_step(it: Running) -> None:
    run = await start(it, "review")
    host = it.hosts["alpha"]
    seen = len(host.executions)
    await until(lambda: len(host.executions) == seen + 2)
    for execution in list(host.executions.values())[seen:]:
        execution.tell(FOUND)
    run = await it.settled(run.name)
    below = await sub_run(it, run, "spine")
    prompts = [(await step(it, below, f"look.{index}.find")).prompt for index in range(2)]
    found = (await it.runs.ListFindings(pb.ListFindingsRequest(parent=run.name))).findings

    assert [prompt.partition("\n\n")[0] for prompt in prompts] == ["You are the newcomer.", "You are the sceptic."]
    assert pb.Run.State.Name(run.state) == "STATE_SUCCEEDED"
    assert [(one.title, one.status) for one in found] == [("It is one", pb.Evidence.STATUS_VERIFIED)]
    assert (run.finding_counts.verified, run.steps[0].finding_counts.verified) == (1, 1)


async def test_a_persona_that_stands_nowhere_fails_its_step_with_the_reason(it: Running) -> None:
    run = await it.settled((await start(it, "unpinned")).name)

    assert run.failure.reason == "TOO_FEW_SUCCEEDED"
    below = await sub_run(it, run, "spine")
    failure = (await step(it, below, "look.0.find")).failure
    assert failure.reason == "PROMPT_BUILD_FAILED"
    assert failure.message.startswith(
        "the persona 'newcomer' of step look.0.find is not pinned with this run; there are"
    )


async def test_cancelling_a_run_cancels_its_sub_runs(it: Running) -> None:
    run = await start(it, "review")
    host = it.hosts["alpha"]
    seen = len(host.executions)
    await until(lambda: len(host.executions) == seen + 2)
    below = await sub_run(it, run, "spine")
    await it.runs.CancelRun(pb.CancelRunRequest(name=run.name, reason="enough"))
    run, below = await it.settled(run.name), await it.settled(below.name)

    assert (run.state, below.state) == (pb.Run.STATE_CANCELLED, pb.Run.STATE_CANCELLED)
    assert below.failure.message == "enough"


async def test_lists_hide_sub_runs_and_a_run_is_deleted_with_them(it: Running) -> None:
    run = await it.settled((await start(it, "outer", "is it hidden?")).name)
    below = await sub_run(it, run, "deep")
    shown = await it.runs.ListRuns(pb.ListRunsRequest(text="hidden"))
    asked = await it.runs.ListRuns(pb.ListRunsRequest(text="hidden", include_sub_runs=True))
    refused = await refusal(it.runs.DeleteRun(pb.DeleteRunRequest(name=below.name)))
    await it.runs.DeleteRun(pb.DeleteRunRequest(name=run.name))
    gone = await refusal(it.runs.GetRun(pb.GetRunRequest(name=below.name)))

    assert [one.name for one in shown.runs] == [run.name]
    assert {one.name: one.parent for one in asked.runs} == {run.name: "", below.name: f"{run.name}/steps/deep"}
    assert (refused.reason, gone.reason) == ("RUN_IS_SUB_RUN", "RUN_NOT_FOUND")
    assert run.name.removeprefix("runs/") in refused.hint


async def test_flows_call_each_other_four_levels_deep_and_never_in_a_circle(it: Running) -> None:
    run = await it.settled((await start(it, "deep")).name)
    deepest = await sub_run(it, await sub_run(it, await sub_run(it, run, "a"), "a"), "a")
    deeper, circle, wrong = [await refusal(start(it, flow)) for flow in ("deeper", "circle", "wrong")]

    assert run.state == pb.Run.STATE_SUCCEEDED
    assert (deepest.flow, (await step(it, deepest, "a")).text) == ("flows/parts/level4", "deepest")
    assert {deeper.reason, circle.reason, wrong.reason} == {"FLOW_INVALID"}
    path = "flows/deeper -> flows/parts/level1 -> flows/parts/level2 -> flows/parts/level3 -> flows/parts/level4"
    assert f"flows call one another more than 4 levels deep: {path}" in deeper.message
    assert "in a circle: flows/circle -> flows/parts/back -> flows/circle" in circle.message


async def test_the_problems_of_calls_stand_at_their_lines(it: Running) -> None:
    asked = flow_pb.ValidateFlowRequest(yaml=textwrap.dedent(FLOWS["wrong.yaml"]), path="wrong.yaml")
    told = (await it.flows.ValidateFlow(asked)).problems

    assert sorted({(one.line, one.field) for one in told}) == [
        (6, "steps[0].flow.inputs"),
        (6, "steps[0].flow.inputs.angels"),
        (9, "steps[1].flow.flow"),
        (10, "steps[1].flow.inputs.x"),
        (10, "steps[1].flow.inputs.y"),
    ]
    listed = await it.flows.ListFlows(flow_pb.ListFlowsRequest())
    assert "flows/review" in [flow.name for flow in listed.flows]
    assert not [flow.name for flow in listed.flows if "parts" in flow.name]
    assert any("circle" in problem.text for problem in listed.problems)


async def test_a_retry_keeps_what_a_sub_run_gave_also_when_that_is_gone_and_is_asked_of_the_whole(it: Running) -> None:
    """Keeps B9 and B12: a part goes and is run again with its run only."""
    source = await it.settled((await start(it, "outer")).name)
    part = await refusal(it.runs.RetryRun(pb.RetryRunRequest(name=source.steps[1].sub_run, all=True)))
    asked = pb.RetryRunRequest(name=source.name, step=f"{source.name}/steps/end")
    retried = await it.runs.RetryRun(asked)
    await it.runs.DeleteRun(pb.DeleteRunRequest(name=source.name))
    done = await it.settled(retried.name)
    end = await it.runs.GetStep(pb.GetStepRequest(name=f"{done.name}/steps/end"))

    assert (part.code, part.reason) == ("FAILED_PRECONDITION", "RUN_IS_SUB_RUN")
    assert f"is part of run {source.name.removeprefix('runs/')}" in part.message
    assert [step.reused_from for step in done.steps] == [
        f"{source.name}/steps/facts",
        f"{source.name}/steps/deep",
        "",
    ]
    assert done.steps[1].sub_run == ""
    assert end.text == "<a+b of 5: why?\n>"


async def test_the_agents_of_a_called_flow_are_planned_behind_the_step_that_calls_it(it: Running) -> None:
    """Keeps B15."""
    asked = pb.CreateRunRequest(flow="flows/asking", workspace=pb.Workspace(path=str(it.workspace)))
    planned = await it.runs.PlanRun(pb.PlanRunRequest(run=asked))

    assert [(step.name, step.times) for step in planned.steps] == [("runs/-/steps/deep.one", 1)]
    assert (planned.requests, planned.most_requests) == (0, 1)
