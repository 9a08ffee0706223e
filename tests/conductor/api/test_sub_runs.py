"""Flows that run other flows, seen from outside. Keeps B13."""

from typing import Any

import pytest
import pytest_asyncio

from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, running_conductor

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
              flow: parts/spine
              inputs: {angles: [a, b], count: size(steps.facts.text)}
          - id: end
            needs: [deep]
            fold: {template: "<{{ steps.deep.text }}>"}
        """,
    "parts/spine.yaml": """
        input_schema:
          type: object
          properties: {angles: {type: array, items: {type: string}}, count: {type: integer}}
          required: [angles]
        report_template: "{{ steps.told.text }}"
        steps:
          - id: told
            fold: {template: "{{ inputs.angles | join('+') }} of {{ inputs.count }}: {{ inputs.question }}"}
        """,
    "circle.yaml": "steps: [{id: a, flow: {flow: parts/back}}]",
    "parts/back.yaml": "steps: [{id: a, flow: {flow: circle}}]",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sub")
    for name, text in FLOWS.items():
        path = folder / "project/.conductor/flows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] for line in text.splitlines()) if "\n" in text else text)
    async with running_conductor(folder, project=folder / "project") as running:
        yield running


async def start(it: Running, flow: str, question: str = "why?") -> pb.Run:
    asked = pb.CreateRunRequest(flow=f"flows/{flow}", workspace=pb.Workspace(path=str(it.workspace)))
    asked.inputs.update({"question": question})
    run: pb.Run = await it.runs.CreateRun(asked)
    return run


async def test_a_step_runs_another_flow_whose_report_is_its_text(it: Running) -> None:
    run = await it.settled((await start(it, "outer")).name)
    assert pb.Run.State.Name(run.state) == "STATE_SUCCEEDED", run
    deep = run.steps[1]
    end = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/end"))
    sub_run = await it.runs.GetRun(pb.GetRunRequest(name=deep.sub_run))

    assert deep.kind == pb.Step.KIND_FLOW
    assert end.text == "<a+b of 5: why?\n>"
    assert (sub_run.parent, sub_run.flow, sub_run.snapshot) == (deep.name, "flows/parts/spine", run.snapshot)
