"""Requests that no honest client makes: each gets a typed refusal, none becomes an internal error. Keeps A4 A10 B6 K5."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor

pytestmark = pytest.mark.processes

FOLD = flow_pb.Flow.Step(id="end", fold=flow_pb.FoldWork(template="done"))


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path) as running:
        yield running


def struct(**values: Any) -> Struct:
    made = Struct()
    made.update(values)
    return made


def request(it: Running, flow: flow_pb.Flow, **fields: Any) -> pb.CreateRunRequest:
    return pb.CreateRunRequest(inline=flow, workspace=pb.Workspace(path=str(it.workspace)), **fields)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_number_that_json_has_not_is_a_wrong_input(number: float, it: Running) -> None:
    told = await refusal(it.runs.CreateRun(request(it, flow_pb.Flow(steps=[FOLD]), inputs=struct(depth=number))))

    assert (told.code, [field for field, _ in told.violations]) == ("INVALID_ARGUMENT", ["inputs"])


def agent(**fields: Any) -> flow_pb.Flow.Step:
    step = agent_step("ask")
    step.agent.MergeFrom(flow_pb.AgentWork(**fields))
    return step


@pytest.mark.parametrize(
    ("flow", "field"),
    [
        (flow_pb.Flow(steps=[agent(timeout=Duration(seconds=2**62))]), "steps[0].agent.timeout"),
        (flow_pb.Flow(steps=[agent(idle_timeout=Duration(nanos=1))]), "steps[0].agent.idle_timeout"),
        (flow_pb.Flow(steps=[FOLD], bands=[99]), "bands[0]"),  # type: ignore[list-item]
        (flow_pb.Flow(steps=[flow_pb.Flow.Step(id="end", fold=FOLD.fold, on_failure=99)]), "steps[0].on_failure"),  # type: ignore[arg-type]
        (flow_pb.Flow(steps=[FOLD], input_schema=struct(minProperties=float("nan"))), "input_schema"),
        (flow_pb.Flow(steps=[FOLD], input_schema=struct(properties={"x": {"pattern": "("}})), "input_schema"),
        (flow_pb.Flow(steps=[FOLD], input_schema=struct(patternProperties={"[": {}})), "input_schema"),
        (flow_pb.Flow(steps=[FOLD], input_schema=struct(**{"type": "object", "$ref": "#/type"})), "input_schema"),
    ],
    ids=["timeout", "idle", "band", "on_failure", "nan", "pattern", "patterns", "reference"],
)
async def test_a_value_that_no_flow_file_could_hold_is_a_problem_of_the_flow(
    flow: flow_pb.Flow, field: str, it: Running
) -> None:
    told = await refusal(it.runs.CreateRun(request(it, flow)))

    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "FLOW_INVALID")
    assert [name for name, _ in told.violations] == [field]


async def test_no_name_that_a_run_is_listed_by_holds_nul(it: Running) -> None:
    """SQLite's json_each ends a text there, and PostgreSQL has none with it: a filter would find another name."""
    step = agent_step("a")
    labels = [await refusal(it.create(step, labels=pair)) for pair in ({"team\0x": "blue"}, {"team": "blue\0x"})]
    named = await refusal(it.runs.CreateRun(request(it, flow_pb.Flow(name="flows/a\0b", steps=[step]))))
    step.agent.agents[:] = ["survey\0x"]
    asking = await refusal(it.create(step))

    assert [(told.code, told.violations[0][0]) for told in labels] == [("INVALID_ARGUMENT", "labels")] * 2
    assert [told.reason for told in (named, asking)] == ["FLOW_INVALID"] * 2


async def test_more_labels_than_a_run_can_have_and_states_that_are_none_are_wrong_filters(it: Running) -> None:
    asked = pb.ListRunsRequest(labels={str(number): "x" for number in range(2000)}, states=[99])  # type: ignore[list-item]
    told = await refusal(it.runs.ListRuns(asked))

    assert (told.code, [field for field, _ in told.violations]) == ("INVALID_ARGUMENT", ["labels", "states"])


async def test_clients_that_race_with_one_request_id_leave_one_kept_snapshot(it: Running, tmp_path: Path) -> None:
    asked = request(it, flow_pb.Flow(steps=[FOLD]), request_id=str(uuid.uuid4()))
    names = {run.name for run in await asyncio.gather(*(it.runs.CreateRun(asked) for _ in range(12)))}

    assert len(names) == 1
    kept = [path.name for path in tmp_path.rglob("refs/runs/*")]
    assert kept == [name.removeprefix("runs/") for name in names]


async def test_a_run_whose_rows_are_damaged_is_told_as_lost_and_never_as_busy(it: Running, tmp_path: Path) -> None:
    """A watcher comes back after UNAVAILABLE, for ever."""
    run = await it.create(FOLD)
    await it.watch(run.name)
    with closing(sqlite3.connect(next(tmp_path.rglob("conductor.db")))) as database, database:
        database.execute("UPDATE journal SET data = '{' WHERE position = 2")

    # GetRun shows what the list knows; see test_run_servicer.
    for call in (it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/end")), it.watch(run.name)):
        told = await refusal(call)
        assert (told.code, told.reason, told.kind) == ("DATA_LOSS", "STORAGE_DAMAGED", "FATAL")
