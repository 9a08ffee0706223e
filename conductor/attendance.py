"""Everything between this conductor and one attempt on its host: streams, one after another, until the attempt is over.

It carries, and decides nothing about runs. The rules of the stream (grpc.md 2, 3, 5; architecture.md 3, 4, 10) that it keeps:

- One reader and one writer per stream, no timeout around `read()`, and `call.cancel()` at every end.
- The end of a stream is no goodbye: an attempt is over when its `finished` was stored, acknowledged and the host closed the
  call after our half-close; or when the host said that it does not know it, or would not take it.
- A stream begins with `start` only while nothing shows that the host has the attempt, and with `resume` after the last
  number received otherwise. An attempt that is to be cancelled before it was started is resumed too: that attaches where
  an earlier process of ours had started it, and burns its id where none had.
- Frames are offered to the engine one by one, in order; when its slot is full, reading stops, and so does the host.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import grpc
import structlog

from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.commands import AckExecution, CancelExecution, ResumeExecution, StartExecution
from conductor.core.inputs import ExecutionLost, ExecutionRefused, ExecutionReported
from conductor.mailbox import ExecutionCommand, Mailbox
from conductor.messages.executions import reports, start_frame
from conductor.snapshot_link import SnapshotPushError
from conductor.v1.furniture.statuses import Refusal, read_refusal

if TYPE_CHECKING:  # a name of the stubs only
    from agenthost.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

# Failures in a row that are neither a lost connection nor an answer about the attempt: a defect on one of the two sides.
MAX_DEFECTS = 8
FIRST_PAUSE_SECONDS = 0.1
EPOCH_SUPERSEDED = "EPOCH_SUPERSEDED"
LONGEST_PAUSE_SECONDS = 2.0

_UNREACHABLE = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"})
_AWAY = _UNREACHABLE | {"SHUTTING_DOWN", "ABORTED"}
_ANOTHER_MAY = frozenset({"FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNAVAILABLE"})
_NOBODY_MAY = frozenset({"INVALID_ARGUMENT", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNIMPLEMENTED", "OUT_OF_RANGE"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this conductor is to its hosts: the id made with its database, and the number of this start."""

    conductor_id: str
    epoch: int


class Inbox(Protocol):
    """The engine, as far as links are concerned."""

    async def offer(self, report: ExecutionReported) -> None:
        """Takes frames; waits while there is no room."""

    def note(self, told: ExecutionRefused | ExecutionLost) -> None:
        """Takes news; never waits."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a Start needs beside its spec: the prompt of a run by digest, and a snapshot made sure of on the host."""

    prompt: Callable[[str, str], Awaitable[bytes]]
    ensure_snapshot: Callable[[str], Awaitable[object]]


class EpochSupersededError(Exception):
    """A newer start of this conductor speaks to this host: this one must not."""


class Attendance:
    """Everything between this conductor and one attempt on its host."""

    def __init__(
        self,
        attempt: str,
        stub: "ExecutionServiceAsyncStub",
        identity: Identity,
        inbox: Inbox,
        sources: Sources,
    ) -> None:
        self.attempt = attempt
        self.mailbox = Mailbox()
        self._stub = stub
        self._identity = identity
        self._inbox = inbox
        self._sources = sources
        self._start: StartExecution | None = None
        self._received = 0
        self._known = False  # the host has shown that it has the attempt
        self._cancelled = False
        self._finished = False  # the last frame was received
        self._released = False  # its acknowledgement was written, and the stream half-closed
        self._dismissed = False
        self._defects = 0

    def dismiss(self, host: str, last_sequence: int, *, has_ended: bool) -> None:
        """Makes this the attendance of an attempt that nobody counts on: its words are dropped, its end is acknowledged."""
        self._dismissed = True
        if has_ended:
            self.mailbox.put(AckExecution(host, self.attempt, last_sequence, finished=True))
        else:
            self.mailbox.put(ResumeExecution(host, self.attempt, last_sequence))
            self.mailbox.put(CancelExecution(host, self.attempt, "nobody counts on it any more"))

    async def run(self) -> None:
        """Speaks streams, one after another, until the attempt is over."""
        self._hear(await self.mailbox.take())
        pause = FIRST_PAUSE_SECONDS
        while True:
            before = self._received
            refusal = await self._ready() or await self._stream()
            if self._is_over(refusal):
                return
            pause = FIRST_PAUSE_SECONDS if self._received > before else min(pause * 2, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    def _hear(self, command: ExecutionCommand) -> None:
        match command:
            case StartExecution():
                self._start = command
            case ResumeExecution():
                self._start, self._known, self._received = None, True, command.after_sequence
            case CancelExecution():
                self._cancelled = True
            case AckExecution():
                # Alone, it settles what an earlier process of ours had received: nothing below it is wanted again.
                self._received = max(self._received, command.sequence)
                self._finished = self._finished or command.finished

    async def _ready(self) -> Refusal | None:
        """Makes sure of the snapshot before a Start, unless the attempt is cancelled meanwhile."""
        if self._start is None or self._known or self._cancelled:
            return None
        async with asyncio.TaskGroup() as tasks:
            ensuring = tasks.create_task(self._ensured(self._start.start.snapshot))
            hearing = tasks.create_task(self._heard_cancel())
            await asyncio.wait({ensuring, hearing}, return_when=asyncio.FIRST_COMPLETED)
            hearing.cancel()
            ensuring.cancel()
        return None if ensuring.cancelled() else ensuring.result()

    async def _ensured(self, snapshot: str) -> Refusal | None:
        try:
            await self._sources.ensure_snapshot(snapshot)
        except SnapshotPushError as error:
            if error.reason in _AWAY:
                return Refusal("UNAVAILABLE", str(error))
            code = "RESOURCE_EXHAUSTED" if error.is_retryable else "INVALID_ARGUMENT"
            return Refusal(code, str(error), reason=error.reason)
        return None

    async def _heard_cancel(self) -> None:
        while not self._cancelled:
            self._hear(await self.mailbox.take())

    async def _opening(self) -> pb.ExecuteRequest:
        if self._start is None or self._known or self._cancelled:
            return self._request(resume=pb.Resume(execution=self.attempt, after_sequence=self._received))
        spec = self._start.start
        prompt = await self._sources.prompt(self.attempt.partition("-")[0], spec.prompt)
        return self._request(start=start_frame(spec, prompt.decode()))

    async def _stream(self) -> Refusal | None:
        """Speaks one stream to its end; gives the status that it ended with, None for OK."""
        opening = await self._opening()
        self._released = False
        # What was written to an earlier stream, or heard before this one, may never have arrived.
        self.mailbox.rewind()
        # Waiting here for a host that is away costs nothing; a pause of our own would only come later.
        call = self._stub.Execute(wait_for_ready=True)
        try:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write(call, opening))
                refusal = await self._read(call)
                writing.cancel()
            return refusal
        finally:
            call.cancel()

    async def _read(self, call: "grpc.aio.StreamStreamCall[pb.ExecuteRequest, pb.ExecuteResponse]") -> Refusal | None:
        try:
            while isinstance(response := await call.read(), pb.ExecuteResponse):
                if response.sequence > self._received + 1:
                    return Refusal("INTERNAL", f"frame {response.sequence} came after {self._received}")
                self._known = True
                if response.sequence == self._received + 1:
                    await self._take(response)
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return Refusal("CANCELLED", "the stream is to begin again")
        return None

    async def _take(self, response: pb.ExecuteResponse) -> None:
        number = response.sequence
        self._received = number
        self._defects = 0
        self._finished = response.HasField("finished")
        if self._dismissed:
            self.mailbox.put(AckExecution("", self.attempt, number, finished=self._finished))
            return
        await self._inbox.offer(ExecutionReported(self.attempt, number, number, reports(response)))

    async def _write(
        self, call: "grpc.aio.StreamStreamCall[pb.ExecuteRequest, pb.ExecuteResponse]", opening: pb.ExecuteRequest
    ) -> None:
        # A call that ended refuses writes; why it ended is the reader's to find out.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(opening)
            while True:
                match await self.mailbox.take():
                    case CancelExecution(reason=reason):
                        self._cancelled = True
                        await call.write(self._request(cancel=pb.Cancel(reason=reason)))
                    case AckExecution() as ack:
                        await call.write(self._request(ack=pb.Ack(sequence=ack.sequence)))
                        if ack.finished:
                            await call.done_writing()
                            self._released = True
                            return
                    case ResumeExecution() as resume:
                        # What was read and is not stored got lost between here and the engine: read it again.
                        self._hear(resume)
                        call.cancel()
                        return
                    case StartExecution():
                        pass  # already told: this stream serves the attempt

    def _is_over(self, refusal: Refusal | None) -> bool:
        """Judges the end of a stream; tells the engine where it is news."""
        if refusal is None:
            return self._released
        _log.info("stream_ended", code=refusal.code, reason=refusal.reason, message=refusal.message)
        if refusal.reason == EPOCH_SUPERSEDED:
            raise EpochSupersededError
        if refusal.code == "NOT_FOUND":
            return self._lose(refusal.message)
        if refusal.reason == "STREAM_SUPERSEDED" or (
            refusal.code in _UNREACHABLE and not self._is_turned_away(refusal)
        ):
            return False
        if not self._known and refusal.reason != "SNAPSHOT_MISSING":
            if refusal.code in _ANOTHER_MAY:
                return self._refuse(refusal, retryable=True)
            if refusal.code in _NOBODY_MAY:
                return self._refuse(refusal, retryable=False)
        return self._count_defect(refusal)

    def _is_turned_away(self, refusal: Refusal) -> bool:
        return refusal.reason == "HOST_DRAINING" and not self._known

    def _count_defect(self, refusal: Refusal) -> bool:
        self._defects += 1
        if self._defects < MAX_DEFECTS:
            return False
        _log.error("execution_given_up", code=refusal.code, reason=refusal.reason, message=refusal.message)
        if self._known:
            return self._lose(f"its host answers only with {refusal.code}: {refusal.message}")
        return self._refuse(refusal, retryable=True)

    def _lose(self, message: str) -> bool:
        if not self._finished and not self._dismissed:
            self._inbox.note(ExecutionLost(self.attempt, message))
        return True

    def _refuse(self, refusal: Refusal, *, retryable: bool) -> bool:
        reason = refusal.reason or refusal.code
        self._inbox.note(ExecutionRefused(self.attempt, reason, refusal.message, retryable))
        return True

    def _request(
        self,
        *,
        start: pb.Start | None = None,
        resume: pb.Resume | None = None,
        cancel: pb.Cancel | None = None,
        ack: pb.Ack | None = None,
    ) -> pb.ExecuteRequest:
        return pb.ExecuteRequest(
            conductor_id=self._identity.conductor_id,
            epoch=self._identity.epoch,
            start=start,
            resume=resume,
            cancel=cancel,
            ack=ack,
        )


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
