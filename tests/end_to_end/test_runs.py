"""Runs, seen from outside: how they are scheduled, cancelled, failed and refused. Keeps B3 B4 B5 B7 B8 C1 A6 F2 K5."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import Flow
from conductor.v1.run_service_pb2 import (
    CancelRunRequest,
    CreateRunRequest,
    GetRunRequest,
    GetStepRequest,
    ListRunsRequest,
    Run,
    Step,
    WatchRunRequest,
    WatchRunResponse,
    Workspace,
)
from tests.kit import flows
from tests.kit.services import Pair, running_pair
from tests.kit.waiting import wait_until

Stub = run_service_pb2_grpc.RunServiceStub
MOST_OUTPUT_BYTES = 8 * 1024 * 1024
pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "allowed").mkdir()
    (folder / "host.toml").write_text(f"[limits]\nmax_output_bytes = {MOST_OUTPUT_BYTES}\n")
    more = {"extra": ("--root", str(folder / "allowed")), "host_extra": ("--config", str(folder / "host.toml"))}
    with running_pair(folder, **more) as running:
        yield running


@pytest.fixture
def stub(pair: Pair) -> Iterator[Stub]:
    with pair.channel() as channel:
        yield Stub(channel)


@pytest.fixture(scope="module")
def workspace(pair: Pair) -> Path:
    return flows.plain_workspace(pair.folder / "allowed" / "w")


def to_its_end(stub: Stub, run: str) -> list[WatchRunResponse]:
    return list(stub.WatchRun(WatchRunRequest(name=run), timeout=60))


def states(told: list[WatchRunResponse], step: str) -> list["Step.State.ValueType"]:
    return [message.step.state for message in told if message.step.name.endswith(f"/{step}")]


def when(told: list[WatchRunResponse], step: str, state: "Step.State.ValueType") -> int:
    """The position at which a step first had a state."""
    return next(m.sequence for m in told if m.step.name.endswith(f"/{step}") and m.step.state == state)


def shims_alive(pair: Pair) -> list[int]:
    """Processes whose command line names an attempt's folder of this pair, as the process table shows them."""
    alive = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_text()
            except OSError:
                continue
            if any(f"{pair.folder}/{host}/attempts" in command for host in pair.hosts):
                alive.append(int(process.name))
    return alive


def reason_of(error: grpc.RpcError) -> tuple[str, list[str]]:
    status = rpc_status.from_call(error)
    assert status is not None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    fields = []
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(bad.DESCRIPTOR):
            detail.Unpack(bad)
            fields = [violation.field for violation in bad.field_violations]
    assert info.domain == "conductor"
    return info.reason, fields


def test_the_roster_is_told_before_any_work(stub: Stub, workspace: Path) -> None:
    asked = flows.request(workspace, flows.scripted("one", "say a"), flows.scripted("two", "say b", needs=("one",)))
    created = stub.CreateRun(asked, timeout=30)
    told = to_its_end(stub, created.name)

    roster = [f"{created.name}/steps/one", f"{created.name}/steps/two"]
    assert [step.name for step in created.steps] == roster
    assert [step.name for step in told[0].run.steps] == roster
    assert told[0].sequence == 1
    assert told[-1].run.state == Run.STATE_SUCCEEDED


def test_a_step_begins_when_its_own_needs_are_met(stub: Stub, workspace: Path) -> None:
    """Keeps C1: no barrier between waves."""
    asked = flows.request(
        workspace,
        flows.scripted("short", "say s"),
        flows.scripted("long", "say l", "sleep 3", "say l"),
        flows.scripted("child", "say c", needs=("short",)),
    )
    told = to_its_end(stub, stub.CreateRun(asked, timeout=30).name)

    assert when(told, "child", Step.STATE_SUCCEEDED) < when(told, "long", Step.STATE_SUCCEEDED)


def test_a_failing_run_stops_its_other_workers_and_settles_every_step(pair: Pair, stub: Stub, workspace: Path) -> None:
    """Keeps B8."""
    asked = flows.request(
        workspace,
        flows.scripted("bad", "say oh", "sleep 1", "exit 3"),
        flows.scripted("slow", "say begin", "hang"),
        flows.scripted("slower", "ignore TERM", "say begin", "hang"),
        flows.scripted("never", "say n", needs=("slow",)),
    )
    run = stub.CreateRun(asked, timeout=30).name
    told = to_its_end(stub, run)
    ended = told[-1].run

    assert ended.state == Run.STATE_FAILED
    assert (ended.failure.reason, ended.failure.step) == ("AGENT_EXIT_NONZERO", f"{run}/steps/bad")
    by_id = {step.name.rsplit("/", 1)[1]: step for step in ended.steps}
    assert by_id["bad"].state == Step.STATE_FAILED
    assert by_id["bad"].attempts[0].exit_code == 3
    assert {by_id[name].state for name in ("slow", "slower", "never")} == {Step.STATE_CANCELLED}
    wait_until(lambda: not shims_alive(pair), 5)


def test_a_cancelled_run_keeps_what_was_said_and_says_nothing_after_its_end(stub: Stub, workspace: Path) -> None:
    """Keeps B7."""
    steps = [flows.scripted(f"s{n}", "say partial", "fork 2", "ignore TERM", "hang") for n in range(2)]
    run = stub.CreateRun(flows.request(workspace, *steps), timeout=30).name
    told = []
    cancelled_at = 0.0
    for message in stub.WatchRun(WatchRunRequest(name=run), timeout=60):
        told.append(message)
        if not cancelled_at and sum(m.HasField("output") for m in told) >= 2:
            answer = stub.CancelRun(CancelRunRequest(name=run, reason="enough"), timeout=10)
            cancelled_at = time.monotonic()
            assert answer.state in (Run.STATE_CANCELLING, Run.STATE_CANCELLED)

    assert told[-1].run.state == Run.STATE_CANCELLED
    assert {step.state for step in told[-1].run.steps} == {Step.STATE_CANCELLED}
    for n in range(2):
        assert stub.GetStep(GetStepRequest(name=f"{run}/steps/s{n}"), timeout=10).text == "partial\n"
        end = when(told, f"s{n}", Step.STATE_CANCELLED)
        assert not [m for m in told if m.output.step.endswith(f"/s{n}") and m.sequence > end]
    with pytest.raises(grpc.RpcError) as refused:
        stub.CancelRun(CancelRunRequest(name=run), timeout=10)
    assert reason_of(refused.value)[0] == "RUN_NOT_RUNNING"


def test_a_hundred_racing_cancels_give_one_end(stub: Stub, workspace: Path) -> None:
    """Keeps B4."""
    run = stub.CreateRun(flows.request(workspace, flows.scripted("s", "say a", "sleep 0.4")), timeout=30).name

    refusals: list[str] = []

    def cancel(number: int) -> None:
        time.sleep(number * 0.01)
        try:
            stub.CancelRun(CancelRunRequest(name=run), timeout=20)
        except grpc.RpcError as error:
            refusals.append(reason_of(error)[0])

    threads = [threading.Thread(target=cancel, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    told = to_its_end(stub, run)

    assert set(refusals) <= {"RUN_NOT_RUNNING"}
    ends = {Run.STATE_SUCCEEDED, Run.STATE_CANCELLED, Run.STATE_FAILED}
    assert sum(message.HasField("run") and message.run.state in ends for message in told) == 1


def test_guards_leave_out_and_skip_and_say_why(stub: Stub, workspace: Path) -> None:
    """Keeps A6."""
    asked = flows.request(
        workspace,
        flows.scripted("first", "say yes"),
        flows.scripted("left_out", "say never", exclude_when="band == 'small'"),
        flows.scripted("skipped", "say never", needs=("first",), skip_when="steps.first.text.startsWith('yes')"),
        flows.fold("end", "{{ steps.first.text }}!", "first", "left_out", "skipped"),
    )
    run = stub.CreateRun(asked, timeout=30)
    ended = to_its_end(stub, run.name)[-1].run
    by_id = {step.name.rsplit("/", 1)[1]: step for step in ended.steps}

    assert by_id["left_out"].state == Step.STATE_EXCLUDED
    assert "band == 'small'" in by_id["left_out"].reason
    assert by_id["skipped"].state == Step.STATE_SKIPPED
    assert "steps.first.text.startsWith('yes')" in by_id["skipped"].reason
    assert stub.GetStep(GetStepRequest(name=f"{run.name}/steps/end"), timeout=10).text == "yes\n!"


def test_a_step_that_may_fail_does_not_fail_its_run(stub: Stub, workspace: Path) -> None:
    asked = flows.request(
        workspace,
        flows.scripted("weak", "exit 1", on_failure=Flow.ON_FAILURE_CONTINUE),
        flows.scripted("strong", "say an answer"),
        flows.fold("end", "{{ steps.weak.state }}", "weak"),
    )
    run = stub.CreateRun(asked, timeout=30).name
    ended = to_its_end(stub, run)[-1].run

    assert ended.state == Run.STATE_SUCCEEDED
    assert stub.GetStep(GetStepRequest(name=f"{run}/steps/end"), timeout=10).text == "failed"


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        (CreateRunRequest(workspace=Workspace(path="relative")), "INVALID_REQUEST", "workspace.path"),
        (CreateRunRequest(workspace=Workspace(path="/etc")), "ROOT_NOT_ALLOWED", ""),
        (CreateRunRequest(workspace=Workspace(path="/etc/../etc")), "", ""),
        (CreateRunRequest(flow="flows/nothing"), "FLOW_NOT_FOUND", ""),
        (CreateRunRequest(inline=Flow(steps=[Flow.Step(id="A!")])), "FLOW_INVALID", ""),
        (CreateRunRequest(request_id="no-uuid"), "INVALID_REQUEST", "request_id"),
        (CreateRunRequest(priority=1000), "INVALID_REQUEST", "priority"),
        (CreateRunRequest(labels={"k" * 129: "v"}), "INVALID_REQUEST", "labels"),
    ],
)
def test_a_bad_request_is_told_by_field_and_starts_nothing(
    stub: Stub, workspace: Path, change: CreateRunRequest, reason: str, field: str
) -> None:
    asked = flows.request(workspace, flows.scripted("s", "say a"))
    asked.MergeFrom(change)
    if change.workspace.path:
        asked.workspace.path = change.workspace.path
    before = len(stub.ListRuns(ListRunsRequest(page_size=500), timeout=10).runs)
    with pytest.raises(grpc.RpcError) as refused:
        stub.CreateRun(asked, timeout=30)

    told, fields = reason_of(refused.value)
    assert not reason or told == reason
    assert not field or any(name.startswith(field) for name in fields)
    assert len(stub.ListRuns(ListRunsRequest(page_size=500), timeout=10).runs) == before


def test_five_mebibytes_are_refused_with_the_limit_and_the_service_lives(stub: Stub, workspace: Path) -> None:
    """Keeps K5."""
    asked = flows.request(workspace, flows.scripted("s", "say " + "x" * (5 * 1024 * 1024)))
    with pytest.raises(grpc.RpcError) as refused:
        stub.CreateRun(asked, timeout=30)

    assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "4" in (refused.value.details() or "")
    assert stub.ListRuns(ListRunsRequest(), timeout=10) is not None


def test_hostile_output_harms_neither_the_run_nor_its_readers(stub: Stub, workspace: Path) -> None:
    """Keeps D5: invalid UTF-8 is replaced, a flood ends in a typed status, silence is a failure."""
    asked = flows.request(
        workspace,
        flows.scripted("odd", "bytes ff fe 41 c3", on_failure=Flow.ON_FAILURE_CONTINUE),
        flows.scripted("flood", "flood 100000000", on_failure=Flow.ON_FAILURE_CONTINUE),
        flows.scripted("silent", "exit 0", on_failure=Flow.ON_FAILURE_CONTINUE),
        flows.scripted("polite", "say an answer"),
    )
    run = stub.CreateRun(asked, timeout=30).name
    ended = to_its_end(stub, run)[-1].run
    by_id = {step.name.rsplit("/", 1)[1]: step for step in ended.steps}

    assert by_id["flood"].failure.reason == "OUTPUT_TOO_LARGE"
    assert by_id["silent"].failure.reason == "EMPTY_OUTPUT"
    assert stub.GetRun(GetRunRequest(name=run), timeout=10).state == Run.STATE_SUCCEEDED


def test_what_an_agent_said_of_a_message_that_it_sends_again_is_no_part_of_its_answer(
    stub: Stub, workspace: Path
) -> None:
    """Keeps D7: the stream shows what came, and later steps and the report see what counts."""
    asked = flows.request(
        workspace,
        flows.scripted("again", "token half an ans", 'json {"type": "void"}', "token the whole answer"),
        flows.fold("after", "It said: {{ steps.again.text }}", "again"),
    )
    run = stub.CreateRun(asked, timeout=30).name
    told = to_its_end(stub, run)
    step, after = (stub.GetStep(GetStepRequest(name=f"{run}/steps/{name}"), timeout=10) for name in ("again", "after"))

    assert "half an ansthe whole answer" in "".join(message.output.text for message in told)
    assert (step.text, after.text) == ("the whole answer", "It said: the whole answer")
