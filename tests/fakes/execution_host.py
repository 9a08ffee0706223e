"""A small agent host that keeps the rules of Execute honestly, and breaks streams where it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agenthost.errors import (
    EpochSupersededError,
    ExecutionExistsError,
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
    ShuttingDownError,
    StreamSupersededError,
    Violation,
)
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import execution_service_pb2_grpc


def said(text: str, channel: pb.Output.Channel.ValueType = pb.Output.CHANNEL_ANSWER) -> pb.ExecuteResponse:
    return pb.ExecuteResponse(output=pb.Output(channel=channel, text=text))


def started() -> pb.ExecuteResponse:
    return pb.ExecuteResponse(started=pb.Started(attestation=pb.Attestation(mechanism="fake 1", uid=4)))


def turned(number: int, answer_start: int, answer_end: int, result: str = "") -> pb.ExecuteResponse:
    turn = pb.Turn(number=number, succeeded=True, answer_start=answer_start, answer_end=answer_end, result_json=result)
    return pb.ExecuteResponse(turn=turn)


def finished(outcome: pb.Finished.Outcome.ValueType = pb.Finished.OUTCOME_SUCCEEDED) -> pb.ExecuteResponse:
    return pb.ExecuteResponse(finished=pb.Finished(outcome=outcome, exit_code=0, result_json='{"findings":[]}'))


def finding(title: str, severity: str, line: int, quote: str) -> dict[str, Any]:
    """A finding with one citation, in the file `a.txt`."""
    evidence = [{"path": "a.txt", "start_line": line, "end_line": line, "quote": quote}]
    return {"title": title, "severity": severity, "claim": "c", "category": "risks", "evidence": evidence}


def with_findings(*findings: dict[str, Any]) -> pb.ExecuteResponse:
    """An end with findings, as agents hand them in."""
    result = json.dumps({"findings": findings})
    end = pb.Finished(outcome=pb.Finished.OUTCOME_SUCCEEDED, exit_code=0, result_json=result)
    return pb.ExecuteResponse(finished=end)


@dataclass
class FakeExecution:
    """One execution: its frames so far, and what was told about it."""

    start: bytes
    frames: list[pb.ExecuteResponse] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: int = 0
    is_released: bool = False
    cancels: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)  # those that were applied
    is_closed: bool = False
    stream: int = 0

    def tell(self, *frames: pb.ExecuteResponse) -> None:
        for frame in frames:
            numbered = pb.ExecuteResponse(sequence=len(self.frames) + 1)
            numbered.MergeFrom(frame)
            self.frames.append(numbered)
        self.grown.set()


class ExecutionHost(execution_service_pb2_grpc.ExecutionServiceServicer):
    """`script` is what every new execution says at once, `retort` what it says to an input.

    `cut` is asked before each frame is sent, around each ack, and after each input and close.
    """

    def __init__(self, script: Sequence[pb.ExecuteResponse] = (), retort: Sequence[pb.ExecuteResponse] = ()) -> None:
        self.script = tuple(script)
        self.retort = tuple(retort)
        self.executions: dict[str, FakeExecution] = {}
        self.burnt: set[str] = set()
        self.spawned: list[str] = []
        self.streams = 0
        self.compared = 0
        self.list_refusals: list[Exception] = []
        self.epoch = 0
        self.refusal: Exception | None = None
        self.deaf = False  # takes cancels, and does nothing about them
        self.openings: list[str] = []
        self.cut: Callable[[str, int], bool] = lambda what, sequence: False

    async def Execute(self, requests: AsyncIterator[pb.ExecuteRequest], context: Any) -> Any:  # noqa: N802
        first = await anext(requests, None)
        if first is None:
            return
        self._fence(first)
        execution = self._attach(first)
        self.streams += 1
        execution.stream = mine = self.streams
        after = first.resume.after_sequence if first.HasField("resume") else 0
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(requests, execution))
            while not execution.is_released:
                for frame in execution.frames[after:]:
                    self._break_off("frame", frame.sequence)
                    yield frame
                    after = frame.sequence
                if execution.stream != mine:
                    raise StreamSupersededError
                execution.grown.clear()
                if after == len(execution.frames) and not execution.is_released:
                    await execution.grown.wait()
            await reading

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Any) -> pb.ListExecutionsResponse:  # noqa: N802
        self.compared += 1
        if self.list_refusals:
            raise self.list_refusals.pop()
        return pb.ListExecutionsResponse(executions=[_listed(*entry) for entry in self.executions.items()])

    async def _read(self, requests: AsyncIterator[pb.ExecuteRequest], execution: FakeExecution) -> None:
        async for request in requests:
            match request.WhichOneof("frame"):
                case "ack":
                    self._break_off("before ack", request.ack.sequence)
                    execution.acknowledged = max(execution.acknowledged, request.ack.sequence)
                    is_over = bool(execution.frames) and execution.frames[-1].HasField("finished")
                    execution.is_released = is_over and execution.acknowledged == len(execution.frames)
                    self._break_off("after ack", request.ack.sequence)
                    execution.grown.set()
                case "cancel":
                    execution.cancels.append(request.cancel.reason)
                    is_over = bool(execution.frames) and execution.frames[-1].HasField("finished")
                    if not is_over and not self.deaf:
                        execution.tell(finished(pb.Finished.OUTCOME_CANCELLED))
                case "input":
                    self._apply(request.input, execution)
                    self._break_off("after input", request.input.input_sequence)
                case "close":
                    if not execution.is_closed:
                        execution.is_closed = True
                        execution.tell(finished())
                    self._break_off("after close", 0)
                case other:
                    raise InvalidRequestError(Violation(str(other), "comes first or never"))
        if not execution.is_released:
            raise ShuttingDownError("the client's half ended without a goodbye")

    def _apply(self, told: pb.Input, execution: FakeExecution) -> None:
        if told.input_sequence == len(execution.inputs) + 1:
            execution.inputs.append(told.text)
            applied = pb.InputApplied(input_sequence=told.input_sequence, turn=told.input_sequence + 1)
            execution.tell(pb.ExecuteResponse(input_applied=applied), *self.retort)

    def _attach(self, first: pb.ExecuteRequest) -> FakeExecution:
        self.openings.append(str(first.WhichOneof("frame")))
        if first.HasField("start"):
            return self._started(first.start)
        execution = self.executions.get(first.resume.execution)
        if execution is None or execution.is_released:
            self.burnt.add(first.resume.execution)
            raise NotFoundError("execution", first.resume.execution)
        return execution

    def _started(self, start: pb.Start) -> FakeExecution:
        if self.refusal is not None:
            raise self.refusal
        data = start.SerializeToString(deterministic=True)
        known = self.executions.get(start.execution)
        if known is not None and known.start == data:
            return known
        if known is not None:
            raise ExecutionExistsError
        if start.execution in self.burnt:
            raise PreconditionError("EXECUTION_BURNT", "it was resumed before it was started")
        self.spawned.append(start.execution)
        execution = self.executions[start.execution] = FakeExecution(data)
        execution.tell(*self.script)
        return execution

    def _fence(self, request: pb.ExecuteRequest) -> None:
        if request.epoch < self.epoch:
            raise EpochSupersededError
        self.epoch = request.epoch

    def _break_off(self, what: str, sequence: int) -> None:
        if self.cut(what, sequence):
            raise ShuttingDownError("cut by the test")


def _listed(name: str, execution: FakeExecution) -> pb.Execution:
    if execution.is_released:
        return pb.Execution(execution=name, state=pb.Execution.STATE_RELEASED)
    has_ended = bool(execution.frames) and execution.frames[-1].HasField("finished")
    state = pb.Execution.STATE_FINISHED if has_ended else pb.Execution.STATE_RUNNING
    return pb.Execution(execution=name, state=state, last_sequence=len(execution.frames))
