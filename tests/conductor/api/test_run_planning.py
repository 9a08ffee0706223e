"""PlanRun over the real server: it shows the later run, and starts nothing. Keeps B15."""

from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started

pytestmark = pytest.mark.processes

STEPS = (
    agent_step("look", label="Look"),
    agent_step("deep", exclude_when="band == 'small'"),
    agent_step("both", "look", "deep"),
    agent_step("alone", "deep", on_failure=flow_pb.Flow.ON_FAILURE_CONTINUE),
    flow_pb.Flow.Step(id="sum", needs=("both",), fold=flow_pb.FoldWork(template="x")),
)


def request(it: Running, *steps: flow_pb.Flow.Step, **fields: object) -> pb.CreateRunRequest:
    inputs = Struct()
    inputs["question"] = "What breaks?\nAnd when?"
    asked = pb.CreateRunRequest(inline=flow_pb.Flow(name="flows/test", steps=steps), inputs=inputs, **fields)
    asked.workspace.path = str(it.workspace)
    return asked


def as_planned(run: pb.Run) -> pb.Run:
    """Returns a run without what only a run that was made has."""
    planned = pb.Run.FromString(run.SerializeToString())
    for field in ("name", "sequence", "create_time"):
        planned.ClearField(field)
    for step in planned.steps:
        step.name = step.name.replace(run.name, "runs/-")
        step.ClearField("ready_time")
        step.ClearField("end_time")
        if step.state != pb.Step.STATE_EXCLUDED:
            step.state = pb.Step.STATE_PENDING
    return planned


async def plan_with_places(it: Running, asked: pb.CreateRunRequest) -> pb.PlanRunResponse:
    """Plans once the host has connected."""
    while True:
        planned: pb.PlanRunResponse = await it.runs.PlanRun(pb.PlanRunRequest(run=asked))
        if all(step.HasField("placement") for step in planned.steps):
            return planned


async def test_a_plan_equals_the_later_run_and_starts_nothing(tmp_path: Path) -> None:
    """Keeps B15, and of B16 the titles."""
    host = ExecutionHost((started(), said("done"), finished()))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        asked = request(it, *STEPS, labels={"team": "red"})
        planned = await plan_with_places(it, asked)
        again = await it.runs.PlanRun(pb.PlanRunRequest(run=asked))
        listed = await it.runs.ListRuns(pb.ListRunsRequest())
        before = list(host.spawned)

        asked.plan_hash = planned.plan_hash
        run = await it.runs.CreateRun(asked)
        ended = await it.settled(run.name)
        prompts = {
            step.label: (await it.runs.GetStep(pb.GetStepRequest(name=step.name))).prompt for step in ended.steps
        }

    assert planned == again
    assert (list(listed.runs), before) == ([], [])
    assert planned.run == as_planned(run)
    assert (run.plan_hash, run.title) == (planned.plan_hash, "What breaks?")
    assert [(step.name.rpartition("/")[2], step.state) for step in planned.run.steps if step.reason] == [
        ("deep", pb.Step.STATE_EXCLUDED)
    ]
    assert [step.name.rpartition("/")[2] for step in planned.steps] == ["look", "both", "alone"]
    known = {step.name.rpartition("/")[2]: step.prompt for step in planned.steps if step.HasField("prompt_tokens")}
    assert known == {"look": prompts["Look"], "alone": prompts["alone"]}
    assert "have ended" in planned.steps[1].problem
    assert planned.prompt_tokens == sum(-(-len(prompt) // 4) for prompt in known.values())
    assert planned.requests == 3
    for step in planned.steps:
        first = next(one for one in ended.steps if one.name.endswith(step.name.rpartition("/")[2])).attempts[0]
        assert (step.placement.host, step.placement.agent) == (first.host, first.agent)
    assert [(one.host, one.model, one.machine) for one in planned.destinations] == [("alpha", "", "this machine")]
    assert not planned.leaves_machine


async def test_steps_of_items_are_planned_as_often_as_they_may_run(tmp_path: Path) -> None:
    """Keeps B15."""
    foreach = flow_pb.ForeachWork(items="['a', 'b']", steps=[agent_step("one")], max_items=flow_pb.PerBand(small=3))
    rounds = flow_pb.LoopWork(steps=[agent_step("two")], max_rounds=flow_pb.PerBand(small=2), until="true")
    steps = (flow_pb.Flow.Step(id="items", foreach=foreach), flow_pb.Flow.Step(id="rounds", loop=rounds), STEPS[0])
    async with running_conductor(tmp_path) as it:
        planned = await it.runs.PlanRun(pb.PlanRunRequest(run=request(it, *steps)))

    assert [(step.name, step.times) for step in planned.steps] == [
        ("runs/-/steps/items.0.one", 3),
        ("runs/-/steps/rounds.0.two", 2),
        ("runs/-/steps/look", 1),
    ]
    assert (planned.requests, planned.most_requests) == (1, 6)


async def test_each_agent_of_a_panel_is_planned(tmp_path: Path) -> None:
    """Keeps B15."""
    panel = flow_pb.PanelWork(agents=["scripted", "reader"], prompt="Look")
    step = flow_pb.Flow.Step(id="panel", panel=panel)
    each = flow_pb.ForeachWork(
        items="['a']", steps=[flow_pb.Flow.Step(id="inner", panel=panel)], max_items=flow_pb.PerBand(small=3)
    )
    async with running_conductor(tmp_path) as it:
        asked = request(it, step, flow_pb.Flow.Step(id="items", foreach=each))
        planned = await it.runs.PlanRun(pb.PlanRunRequest(run=asked))

    assert [(step.name, step.times) for step in planned.steps] == [
        ("runs/-/steps/panel.0.ask", 1),
        ("runs/-/steps/panel.1.ask", 1),
        ("runs/-/steps/items.0.inner.0.ask", 3),
        ("runs/-/steps/items.0.inner.1.ask", 3),
    ]
    assert planned.most_requests == 8


async def test_a_plan_that_changed_starts_no_run(tmp_path: Path) -> None:
    """Keeps B15: the repository, the flow, an input; what does not change the plan does no harm."""
    async with running_conductor(tmp_path) as it:
        asked = request(it, *STEPS)
        planned = await it.runs.PlanRun(pb.PlanRunRequest(run=asked))
        asked.plan_hash = planned.plan_hash
        changed = [request(it, *STEPS[:3]), request(it, *STEPS, band=flow_pb.BAND_MEDIUM), request(it, *STEPS)]
        changed[2].inputs["question"] = "What else?"
        stale = []
        for one in changed:
            one.plan_hash = planned.plan_hash
            stale.append(await refusal(it.runs.CreateRun(one)))
        (it.workspace / "a.txt").write_text("one\n2\n")
        stale.append(await refusal(it.runs.CreateRun(asked)))
        (it.workspace / "a.txt").write_text("one\ntwo\n")
        asked.title = "Another title"
        run = await it.runs.CreateRun(asked)
        waits = [step.wait.text for step in planned.steps]

    assert {(one.code, one.reason) for one in stale} == {("FAILED_PRECONDITION", "PLAN_STALE")}
    assert run.title == "Another title"
    assert all("No host is connected" in text for text in waits)
    assert json_format.MessageToDict(run)["planHash"] == planned.plan_hash
