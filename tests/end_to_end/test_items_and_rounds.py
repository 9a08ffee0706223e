"""Steps inside steps, seen from outside: items and rounds run, survive kills, and tell what they left out. Keeps A5, C4, C8, F5."""

import time
from collections.abc import Iterator

import pytest
from google.protobuf import json_format, struct_pb2

from conductor.flows.checks.validation import parsed
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc
from tests.end_to_end.test_nothing_is_lost import spawned
from tests.kit import flows
from tests.kit.services import Pair, running_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

FLOW = """\
title: Angles
input_schema:
  type: object
  properties: {angles: {type: array, items: {type: object, required: [name], properties: {name: {type: string}}}}}
steps:
  - id: look
    foreach:
      items: inputs.angles.filter(one, one.name != "nothing")
      as: angle
      max_items: {small: 3, large: 9}
      max_parallel: 3
      min_success: 2
      steps:
        - id: find
          agent:
            agents: [scripted]
            prompt: |
              #scripted
              sleep {{ 1.2 if index == 0 else 0.01 }}
              say {{ angle.name }} is item {{ index }}
              finding low readme.txt 1 1 Found for {{ angle.name }}
              {{ "exit 1" if angle.name == "bad" else "" }}
        - id: told
          needs: [find]
          fold: {template: "{{ item.name }} gave {{ steps.find.findings | length }}"}
  - id: again
    needs: [look]
    loop:
      until: steps.count.text == "xxx"
      max_rounds: 5
      steps:
        - id: count
          fold: {template: "{{ previous.count.text if previous else '' }}x"}
  - id: panel
    panel:
      agents: [scripted, nobody]
      min_agree: 2
      min_success: 1
      prompt: |
        #scripted
        say {{ item }} speaks
        finding low readme.txt 2 2 Alone
  - id: all
    needs: [look, again]
    fold:
      template: >-
        {% for one in steps.look.items %}[{{ one.item.name }} {{ one.state }} {{ one.steps.told.text }}]{% endfor %}
        after {{ steps.again.items | length }} rounds
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with running_pair(folder, hosts=("alpha",), extra=("--root", str(folder))) as running:
        yield running


def request_of(pair: Pair, angles: list[str]) -> pb.CreateRunRequest:
    flow, _, problems = parsed(FLOW.encode(), "angles.yaml")
    assert (flow is not None, problems) == (True, ())
    workspace = flows.plain_workspace(pair.folder / "w")
    inputs = struct_pb2.Struct()
    json_format.ParseDict({"angles": [{"name": angle} for angle in angles]}, inputs)
    return pb.CreateRunRequest(inline=flow, inputs=inputs, workspace=pb.Workspace(path=str(workspace)))


def ended(stub: run_service_pb2_grpc.RunServiceStub, name: str) -> pb.Run:
    run = pb.Run()
    for told in stub.WatchRun(pb.WatchRunRequest(name=name), timeout=60):
        if told.HasField("run"):
            run = told.run
    return run


def test_each_item_has_its_chain_and_the_report_says_what_was_left_out(pair: Pair) -> None:
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        name = stub.CreateRun(request_of(pair, ["slow", "nothing", "bad", "quick", "late"]), timeout=10).name
        run = ended(stub, name)
        steps = {step.name.partition("/steps/")[2]: step for step in stub.GetRun(pb.GetRunRequest(name=name)).steps}
        text = stub.GetStep(pb.GetStepRequest(name=f"{name}/steps/all")).text
        findings = stub.ListFindings(pb.ListFindingsRequest(parent=name)).findings
        report = stub.GetReport(pb.GetReportRequest(name=name)).markdown

    assert run.state == pb.Run.STATE_SUCCEEDED
    assert text == "[slow succeeded slow gave 1][bad failed ][quick succeeded quick gave 1] after 3 rounds"
    items = steps["look"].items
    assert (items.count, items.succeeded, items.failed, items.left_out) == (3, 2, 1, 1)
    assert (steps["look.1.told"].state, steps["look.1.told"].parent) == (pb.Step.STATE_CANCELLED, steps["look"].name)
    assert steps["look.2.told"].end_time.ToNanoseconds() < steps["look.0.find"].end_time.ToNanoseconds()
    assert sorted(finding.title for finding in findings) == ["Found for quick", "Found for slow"]
    assert "1 more item was left out: the step takes the first 3" in report
    assert (steps["panel"].kind, steps["panel"].items.count) == (pb.Step.KIND_PANEL, 1)
    assert "no host can run nobody, so the panel was asked without" in report.replace("\\", "")
    assert "1 finding was left out, which fewer than 2 agents name" in report


def test_items_that_ended_before_a_kill_do_not_run_again(pair: Pair) -> None:
    """Keeps F5, I3."""
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        name = stub.CreateRun(request_of(pair, ["slow", "quick", "third"]), timeout=10).name
        time.sleep(0.3)
    pair.conductor.kill()
    pair.conductor.start()
    pair.wait_until_ready()
    with pair.channel() as channel:
        run = ended(run_service_pb2_grpc.RunServiceStub(channel), name)

    assert run.state == pb.Run.STATE_SUCCEEDED
    ids = [f"look.{index}.find" for index in range(3)] + ["panel.0.ask"]
    assert sorted(spawned(pair, name)) == [f"{name.removeprefix('runs/')}-{step}-1" for step in ids]
