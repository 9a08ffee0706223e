"""A row that can be read, and does not fit its run, is told as damage by every call. Keeps I5."""

import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import grpc
import pytest

from conductor.core.model.plan import FoldPlan
from conductor.store.codec import EVENT_TYPES, encode
from conductor.v1 import run_service_pb2 as pb
from servicekit.statuses import Refusal, read_refusal
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, finding, said, started, with_findings

pytestmark = pytest.mark.processes

# What a row may hold in the place of what was stored: something small that exists, and something that cannot be.
SCALARS: dict[str, dict[Any, Any]] = {
    "plausible": {str: "look", int: 1, float: 1.0, bool: True, NoneType: None},
    "impossible": {str: "missing", int: 2**62, float: 1e300, bool: False, NoneType: None},
}


def value_of(annotation: Any, scalars: dict[Any, Any]) -> Any:
    if annotation in scalars:
        return scalars[annotation]
    if get_origin(annotation) in (Union, UnionType):
        options = get_args(annotation)
        return FoldPlan() if FoldPlan in options else value_of(options[0], scalars)
    if get_origin(annotation) is tuple:
        items = get_args(annotation)
        return tuple(value_of(item, scalars) for item in items if item is not Ellipsis)
    if issubclass(annotation, Enum):
        return next(iter(annotation))
    assert is_dataclass(annotation)
    hints = get_type_hints(annotation)
    return annotation(**{field.name: value_of(hints[field.name], scalars) for field in fields(annotation)})


async def outcome(call: Awaitable[Any]) -> Refusal | None:
    """Returns the refusal of a call; None where it succeeds."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return read_refusal(error)
    return None


def every_read(it: Running, run: str) -> dict[str, Awaitable[Any]]:
    async def output() -> list[Any]:
        return [piece async for piece in it.runs.ReadOutput(pb.ReadOutputRequest(name=f"{run}/steps/look"))]

    async def watched() -> None:
        call = it.runs.WatchRun(pb.WatchRunRequest(name=run))
        async for told in call:
            if told.HasField("progress"):  # it has all, and the changed row was the run's end
                call.cancel()
                return

    return {
        "GetStep": it.runs.GetStep(pb.GetStepRequest(name=f"{run}/steps/look")),
        "WatchRun": watched(),
        "ReadOutput": output(),
        "ListFindings": it.runs.ListFindings(pb.ListFindingsRequest(parent=run)),
        "CompareRuns": it.runs.CompareRuns(pb.CompareRunsRequest(before=run, after=run)),
        "GetReport": it.runs.GetReport(pb.GetReportRequest(name=run)),
        "CancelRun": it.runs.CancelRun(pb.CancelRunRequest(name=run)),
    }


@pytest.mark.parametrize("kind", SCALARS)
async def test_a_row_that_does_not_fit_its_run_is_damage_to_every_call(kind: str, tmp_path: Path) -> None:
    script = (started(), said("x"), with_findings(finding("t", "high", 1, "a")))
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("look"))
        await it.settled(run.name)
        damaged: set[str] = set()
        with closing(sqlite3.connect(next(tmp_path.rglob("conductor.db")), isolation_level=None)) as database:
            rows = database.execute("SELECT position, type, data FROM journal ORDER BY position").fetchall()
            for name, event_type in EVENT_TYPES.items():
                for position, *stored in rows[::3]:
                    change = "UPDATE journal SET type = ?, data = ? WHERE position = ?"
                    database.execute(change, (name, encode(value_of(event_type, SCALARS[kind])), position))
                    shown = await it.runs.GetRun(pb.GetRunRequest(name=run.name))
                    told = {call: await outcome(reading) for call, reading in every_read(it, run.name).items()}
                    database.execute(change, (*stored, position))
                    for call, refused in told.items():
                        if refused and (refused.code, refused.reason) != ("DATA_LOSS", "STORAGE_DAMAGED"):
                            expected = refused.code in {"NOT_FOUND", "FAILED_PRECONDITION"}
                            assert expected, f"{call} with {name} at {position}: {refused}"
                    damaged |= {call for call, refused in told.items() if refused and refused.code == "DATA_LOSS"}
                    damaged |= {"GetRun"} if shown.damage else set()

    assert damaged >= {"GetRun", "GetStep", "WatchRun", "ReadOutput", "GetReport"}


STORED = {
    "blobs": ("SELECT digest, data FROM blobs ORDER BY digest", "UPDATE blobs SET data = ? WHERE digest = ?"),
    "findings": ("SELECT key, data FROM findings", "UPDATE findings SET data = ? WHERE key = ?"),
    "plans": ("SELECT key, plan FROM runs", "UPDATE runs SET plan = ? WHERE key = ?"),
}


@pytest.mark.parametrize("garbage", [b"", b"{", b"[1]", b'{"findings": [7], "severity": 9, "run": []}', b"\xff\xfe"])
async def test_a_stored_value_that_is_not_what_it_was_is_damage_or_left_out_and_never_a_defect(
    garbage: bytes, tmp_path: Path
) -> None:
    script = (started(), said("x"), with_findings(finding("t", "high", 1, "a")))
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("look"))
        await it.settled(run.name)
        with closing(sqlite3.connect(next(tmp_path.rglob("conductor.db")), isolation_level=None)) as database:
            for rows, change in STORED.values():
                for key, stored in database.execute(rows).fetchall():
                    text = garbage.decode("latin-1")
                    database.execute(change, (garbage if isinstance(stored, bytes) else text, key))
                    calls = every_read(it, run.name) | {
                        "GetRun": it.runs.GetRun(pb.GetRunRequest(name=run.name)),
                        "ListRuns": it.runs.ListRuns(pb.ListRunsRequest()),
                    }
                    told = {call: await outcome(reading) for call, reading in calls.items()}
                    database.execute(change, (stored, key))
                    for call, refused in told.items():
                        allowed = {"DATA_LOSS", "NOT_FOUND", "FAILED_PRECONDITION"}
                        assert refused is None or refused.code in allowed, f"{call} after {change}: {refused}"
