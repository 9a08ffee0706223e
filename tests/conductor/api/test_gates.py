"""Gates and pauses from outside, over the real server. Keeps H1 H2 H3 H4 B9."""

import asyncio
import uuid
from pathlib import Path
from typing import Any, cast

import pytest

from conductor.api.reading.gate_reading import GateReading
from conductor.core.model.conductor_state import Ongoing
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import gate_service_pb2 as gate_pb
from conductor.v1 import run_service_pb2 as pb
from conductor.v1.flow_service_pb2 import GateWork
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started

pytestmark = pytest.mark.processes

Gate = gate_pb.Gate


def gate_step(step: str = "plan", *needs: str, show: str = "Is *{{ inputs.question }}* worth it?", **work: Any) -> Any:
    return flow_pb.Flow.Step(id=step, needs=needs, gate=GateWork(title="Go on?", show=show, **work))


def fold_step(step: str, *needs: str) -> flow_pb.Flow.Step:
    return flow_pb.Flow.Step(id=step, needs=needs, fold=flow_pb.FoldWork(template="so: {{ steps.plan.text }}"))


async def open_gate(it: Running, *steps: flow_pb.Flow.Step) -> Gate:
    run = await it.create(*(steps or (gate_step(), fold_step("end", "plan"))), inputs={"question": "it"})
    return await until_paused(it, run.name)


async def until_paused(it: Running, run: str) -> Gate:
    async for told in it.runs.WatchRun(pb.WatchRunRequest(name=run)):
        if told.HasField("run") and told.run.state == pb.Run.STATE_PAUSED:
            break
    (gate,) = (await it.gates.ListGates(gate_pb.ListGatesRequest(parent=run, states=[Gate.STATE_PENDING]))).gates
    return gate


def resolution(gate: Gate, decision: Any = GateWork.DECISION_APPROVE, **more: Any) -> gate_pb.ResolveGateRequest:
    fields = {"digest": gate.digest, "resolver": "ann", "comment": "fine"} | more
    return gate_pb.ResolveGateRequest(name=gate.name, decision=decision, **fields)


async def test_a_gate_of_a_run_at_work_is_read_without_folding_the_whole_run_again() -> None:
    """A run with a gate for each of its items would be folded once for each decision."""
    run: Any = object()
    reading = GateReading(cast("Any", None), lambda: {"r1": Ongoing(run)})

    assert await reading.run("r1") is run


async def test_a_run_waits_for_a_person_over_a_restart_and_ends_as_the_person_decides(tmp_path: Path) -> None:
    """Keeps H1, H2, H3."""
    async with running_conductor(tmp_path) as it:
        gate = await open_gate(it)
        before = await it.runs.GetRun(pb.GetRunRequest(name=gate.name.split("/gates/")[0]))
    async with running_conductor(tmp_path) as it:
        run = await it.runs.GetRun(pb.GetRunRequest(name=before.name))
        assert run == before
        assert (run.state, run.pause.cause, list(run.pause.gates)) == (
            pb.Run.STATE_PAUSED,
            pb.Pause.CAUSE_GATE,
            [gate.name],
        )
        assert gate.name == f"{run.name}/gates/plan-1"
        assert (gate.show, gate.title, gate.kind) == ("Is *it* worth it?", "Go on?", Gate.KIND_HUMAN_REQUIRED)
        assert run.steps[0].state == pb.Step.STATE_WAITING_GATE
        assert run.steps[0].gate.digest == gate.digest
        assert [one.name for one in (await it.gates.ListGates(gate_pb.ListGatesRequest())).gates] == [gate.name]

        decided = await it.gates.ResolveGate(resolution(gate))
        ended = await it.settled(run.name)
        history = await it.watch(run.name)
        end = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/end"))
        again = await it.gates.ResolveGate(resolution(gate, request_id=str(uuid.uuid4())))

    assert (decided.state, decided.decision, decided.resolver, decided.comment) == (
        Gate.STATE_APPROVED,
        GateWork.DECISION_APPROVE,
        "ann",
        "fine",
    )
    assert decided.peer.startswith("unix")
    assert ended.state == pb.Run.STATE_SUCCEEDED
    assert end.text == "so: Is *it* worth it?"
    assert again == decided
    assert [told.gate.state for told in history if told.HasField("gate")] == [Gate.STATE_PENDING, Gate.STATE_APPROVED]


async def test_decisions_are_taken_once_and_refused_with_their_reasons(tmp_path: Path) -> None:
    """Keeps H3, H4: from two clients at once, twice, with the wrong digest, after the end, after expiry."""
    async with running_conductor(tmp_path) as it:
        gate = await open_gate(it)
        for request, reason in (
            (resolution(gate, digest=""), "INVALID_REQUEST"),
            (resolution(gate, digest="0" * 64), "DIGEST_MISMATCH"),
            (resolution(gate, GateWork.DECISION_RETRY), "INVALID_REQUEST"),
            (resolution(gate, GateWork.DECISION_EDIT), "INVALID_REQUEST"),
            (resolution(gate, text="x"), "INVALID_REQUEST"),
            (resolution(gate, GateWork.DECISION_UNSPECIFIED), "INVALID_REQUEST"),
            (resolution(Gate(name=gate.name[:-1] + "7"), digest="x"), "GATE_NOT_FOUND"),
            (resolution(Gate(name=f"runs/{'0' * 26}/gates/plan-1"), digest="x"), "RUN_NOT_FOUND"),
            (resolution(Gate(name="gates/plan-1"), digest="x"), "INVALID_REQUEST"),
        ):
            assert (await refusal(it.gates.ResolveGate(request))).reason == reason

        key = str(uuid.uuid4())
        edit = resolution(gate, GateWork.DECISION_EDIT, text="mine", request_id=key)
        both = await asyncio.gather(
            it.gates.ResolveGate(edit), it.gates.ResolveGate(resolution(gate)), return_exceptions=True
        )
        assert sum(isinstance(one, Gate) for one in both) == 1
        ended = await it.settled(gate.name.split("/gates/")[0])
        assert ended.state == pb.Run.STATE_SUCCEEDED
        (decided,) = [one for one in both if isinstance(one, Gate)]
        if decided.decision == GateWork.DECISION_EDIT:
            assert (await it.gates.ResolveGate(edit)) == decided
            edit.text = "another"
            assert (await refusal(it.gates.ResolveGate(edit))).reason == "REQUEST_ID_REUSED"
        told = await refusal(it.gates.ResolveGate(resolution(gate, GateWork.DECISION_REJECT)))
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "GATE_RESOLVED")

        work = GateWork(show="x", on_expiry=GateWork.ON_EXPIRY_REJECT)
        work.expires.FromMilliseconds(50)
        run = await it.create(flow_pb.Flow.Step(id="plan", gate=work))
        ended = await it.settled(run.name)
        assert (ended.state, ended.failure.reason) == (pb.Run.STATE_FAILED, "GATE_EXPIRED")
        (expired,) = (await it.gates.ListGates(gate_pb.ListGatesRequest(parent=run.name))).gates
        assert expired.state == Gate.STATE_EXPIRED
        assert (await refusal(it.gates.ResolveGate(resolution(expired)))).reason == "GATE_RESOLVED"
        assert not (await it.gates.ListGates(gate_pb.ListGatesRequest())).gates


async def test_gates_are_listed_by_pages_oldest_first(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        opened = [await open_gate(it) for _ in range(3)]
        request = gate_pb.ListGatesRequest(parent="runs/-", page_size=2)
        first = await it.gates.ListGates(request)
        request.page_token = first.next_page_token
        second = await it.gates.ListGates(request)

        assert [*first.gates, *second.gates] == opened
        assert not second.next_page_token
        request.parent = ""
        assert (await refusal(it.gates.ListGates(request))).violations[0][0] == "page_token"
        assert (await refusal(it.gates.ListGates(gate_pb.ListGatesRequest(states=[99])))).violations  # type: ignore[list-item]


async def test_a_held_run_begins_no_attempt_until_it_is_resumed(tmp_path: Path) -> None:
    """Keeps B9."""
    host = ExecutionHost((started(), said("fine"), finished()))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        asked = pb.PauseRunRequest(reason="lunch")
        run = await it.create(gate_step(), agent_step("look", "plan"))
        asked.name = run.name
        gate = await until_paused(it, run.name)
        held = await it.runs.PauseRun(asked)
        assert (held.pause.cause, held.pause.reason, list(held.pause.gates)) == (
            pb.Pause.CAUSE_OPERATOR,
            "lunch",
            [gate.name],
        )
        await it.gates.ResolveGate(resolution(gate))

        async for told in it.runs.WatchRun(pb.WatchRunRequest(name=run.name)):
            if told.HasField("step") and told.step.state == pb.Step.STATE_QUEUED:
                break
        assert (await it.runs.PauseRun(asked)).state == pb.Run.STATE_PAUSED
        listed = await it.runs.ListRuns(pb.ListRunsRequest(states=[pb.Run.STATE_PAUSED]))
        assert [one.name for one in listed.runs] == [run.name]
        other = await it.settled((await it.create(agent_step("other"))).name)
        assert host.spawned == [f"{other.name.removeprefix('runs/')}-other-1"]

        resumed = await it.runs.ResumeRun(pb.ResumeRunRequest(name=run.name))
        assert (resumed.state, resumed.HasField("pause")) == (pb.Run.STATE_RUNNING, False)
        ended = await it.settled(run.name)
        assert ended.state == pb.Run.STATE_SUCCEEDED
        told = await refusal(it.runs.PauseRun(asked))
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "RUN_NOT_RUNNING")
        assert (await refusal(it.runs.ResumeRun(pb.ResumeRunRequest(name=run.name)))).reason == "RUN_NOT_RUNNING"


async def test_an_edit_in_the_place_of_a_typed_output_must_fit_its_schema(tmp_path: Path) -> None:
    """Keeps H3 and F3."""
    output = flow_pb.OutputSpec(on_invalid=flow_pb.OutputSpec.ON_INVALID_GATE)
    output.schema.update({"type": "object", "required": ["list"], "properties": {"list": {"type": "array"}}})
    fold = flow_pb.FoldWork(template="no JSON", output=output)
    end = flow_pb.FoldWork(template="{{ steps.plan.output.list | join(' and ') }}")
    steps = flow_pb.Flow.Step(id="plan", fold=fold), flow_pb.Flow.Step(id="end", needs=["plan"], fold=end)
    async with running_conductor(tmp_path) as it:
        gate = await open_gate(it, *steps)
        run = gate.name.split("/gates/")[0]
        assert "OUTPUT_INVALID" in gate.title

        for text, why in (("{}", "'list' is a required property"), ("words", "it is not JSON")):
            wrong = await refusal(it.gates.ResolveGate(resolution(gate, GateWork.DECISION_EDIT, text=text)))
            assert (wrong.reason, why in wrong.message) == ("INVALID_REQUEST", True)
        await it.gates.ResolveGate(resolution(gate, GateWork.DECISION_EDIT, text='{"list": ["a", "b"]}'))
        await it.settled(run)
        plan, last = [await it.runs.GetStep(pb.GetStepRequest(name=f"{run}/steps/{one}")) for one in ("plan", "end")]

    assert list(plan.output.struct_value["list"]) == ["a", "b"]
    assert last.text == "a and b"
