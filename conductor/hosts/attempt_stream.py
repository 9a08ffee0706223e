"""The streams between this conductor and one attempt on its host, one after another, until the attempt is over.

This module only carries. `core.conversation` decides what a stream begins with, which frames count, and when the attempt is
over. Two rules belong to this module:

- One reader and one writer per stream, no timeout around `read()`, and `call.cancel()` at every end.
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
from conductor.core.conversation import STATUS_LOST, Conversation, Place, StreamEnd
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    ResumeExecution,
    StartExecution,
)
from conductor.core.model.inputs import ExecutionLost, ExecutionRefused, ExecutionReported
from conductor.errors import DatabaseDamagedError, StatusError, StorageError
from conductor.hosts.frames import answered_input, reports
from conductor.hosts.identity import Identity
from conductor.hosts.mailbox import Mailbox
from conductor.hosts.requests import Requests
from conductor.hosts.snapshots import SnapshotPushError
from servicekit.statuses import LOST_BY_GRPC, Refusal, read_refusal

if TYPE_CHECKING:  # a name of the stubs only
    from agenthost.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
LISTENING_SECONDS = 1.0

_AWAY = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "SHUTTING_DOWN", "ABORTED", "UNAUTHENTICATED"})

_log = structlog.get_logger(__name__)


class Inbox(Protocol):
    """The engine, as links use it."""

    async def offer(self, report: ExecutionReported) -> None:
        """Takes frames; waits while there is no room."""

    def note(self, news: ExecutionRefused | ExecutionLost) -> None:
        """Takes news; never waits."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Brings what frames need beside their commands: a prompt of a run by its digest, and the snapshot on the host."""

    prompt: Callable[[str, str], Awaitable[bytes]]
    ensure_snapshot: Callable[[str], Awaitable[object]]


class EpochSupersededError(Exception):
    """A newer start of this conductor uses this host: this one must not."""


class AttemptStream:
    """Holds the conversation with one attempt on its host."""

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
        self._inbox = inbox
        self._sources = sources
        self._conversation = Conversation(attempt)
        self._identity = identity
        self._requests = Requests(self._conversation, identity, sources.prompt)
        self._answered = asyncio.Event()

    def dismiss(self, host: str, last_sequence: int, *, has_ended: bool) -> None:
        """Drops the output of an attempt that no run counts on, and acknowledges its end."""
        self._conversation.is_dismissed = True
        # Asks for the last frame again: so the end is received, even where a restarted host has not made it yet, and only then
        # acknowledged. An acknowledgement of less would release nothing.
        self.mailbox.put(ResumeExecution(host, self.attempt, max(last_sequence - 1, 0)))
        if not has_ended:
            self.mailbox.put(CancelExecution(host, self.attempt, "no run counts on it any more"))

    async def run(self) -> None:
        """Opens streams, one after another, until the attempt is over."""
        self._conversation.hear(await self.mailbox.take())
        pause = FIRST_PAUSE_SECONDS
        while True:
            before = self._conversation.received
            refusal = await self._ready() or await self._stream()
            if await self._is_over(refusal):
                return
            pause = (
                FIRST_PAUSE_SECONDS if self._conversation.received > before else min(pause * 2, LONGEST_PAUSE_SECONDS)
            )
            await asyncio.sleep(pause)

    async def _ready(self) -> Refusal | None:
        """Brings the snapshot to the host before a Start, unless the attempt is cancelled meanwhile."""
        if (command := self._conversation.to_start) is None:
            return None
        async with asyncio.TaskGroup() as tasks:
            ensuring = tasks.create_task(self._ensured(command.start.snapshot))
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
        while not self._conversation.is_cancelled:
            self._conversation.hear(await self.mailbox.take())

    async def _stream(self) -> Refusal | None:
        """Serves one stream to its end; returns the status that it ended with, None for OK."""
        try:
            opening = await self._requests.opening()
        except StatusError as error:
            return _unreadable(error)
        self._conversation.begin_stream()
        self._answered.clear()
        # Frames that were written to an earlier stream may never have arrived.
        self.mailbox.rewind()
        # Waiting here for a disconnected host is cheaper and faster than pausing. But a Start does not wait: it would be sent when
        # the host comes back, whatever was decided meanwhile.
        call = self._stub.Execute(wait_for_ready=not opening.HasField("start"))
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
                self._answered.set()
                self._identity.accept()
                match self._conversation.take(response.sequence, is_end=response.HasField("finished")):
                    case Place.NEXT:
                        await self._take(response)
                    case Place.TOO_FAR:
                        after = self._conversation.received
                        return Refusal("INTERNAL", f"frame {response.sequence} came after {after}")
                    case Place.KNOWN:
                        pass
        except grpc.aio.AioRpcError as error:
            return _read_status(error)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return Refusal("CANCELLED", "the stream is to begin again")
        return None

    async def _take(self, response: pb.ExecuteResponse) -> None:
        number = response.sequence
        self.mailbox.forget_input(answered_input(response))
        if self._conversation.is_dismissed:
            self.mailbox.put(AckExecution("", self.attempt, number, finished=response.HasField("finished")))
            return
        await self._inbox.offer(ExecutionReported(self.attempt, number, number, reports(self.attempt, response)))

    async def _write(
        self, call: "grpc.aio.StreamStreamCall[pb.ExecuteRequest, pb.ExecuteResponse]", opening: pb.ExecuteRequest
    ) -> None:
        # An ended call refuses writes; the reader finds out why it ended. A half-close raises InternalError when the connection
        # broke a moment ago and gRPC has not noticed the end of the call yet.
        with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            await call.write(opening)
            if self._conversation.is_cautious:
                await self._listen()
            try:
                await self._write_commands(call)
            except StatusError as error:  # the next stream tries again
                _log.warning("input_not_read", error=str(error))
                call.cancel()

    async def _write_commands(self, call: "grpc.aio.StreamStreamCall[pb.ExecuteRequest, pb.ExecuteResponse]") -> None:
        while True:
            match await self.mailbox.take():
                case ResumeExecution() as resume:
                    # Frames were lost between here and the engine: read them again.
                    self._conversation.hear(resume)
                    call.cancel()
                    return
                case StartExecution():
                    pass  # this stream serves the attempt already
                case command:
                    if isinstance(command, CancelExecution):
                        self._conversation.hear(command)
                    await call.write(await self._requests.later(command))
                    if isinstance(command, AckExecution) and command.finished:
                        await call.done_writing()
                        self._conversation.release()
                        return

    async def _listen(self) -> None:
        """Waits a moment for a refusal; a host without one waits for our acknowledgement."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTENING_SECONDS):
                await self._answered.wait()

    async def _is_over(self, refusal: Refusal | None) -> bool:
        """Judges the end of a stream; notes news for the engine; returns whether the attempt is over."""
        if refusal is not None:
            _log.info("stream_ended", code=refusal.code, reason=refusal.reason, message=refusal.message)
            if await self._identity.is_superseded(refusal):
                raise EpochSupersededError
        verdict = self._conversation.judge(None if refusal is None else _stream_end(refusal))
        if verdict.is_defect:
            _log.error("execution_given_up", why=str(refusal))
        if verdict.news is not None:
            self._inbox.note(verdict.news)
        return verdict.is_over


def _stream_end(refusal: Refusal) -> StreamEnd:
    return StreamEnd(refusal.code, refusal.reason, refusal.message, refusal.retry_after_seconds or 0.0)


def _read_status(error: grpc.aio.AioRpcError) -> Refusal:
    refusal = read_refusal(error)
    if refusal.message != LOST_BY_GRPC:
        return refusal
    return Refusal(STATUS_LOST, "the host ended the call while it was written to; it is asked again")


def _unreadable(error: StatusError) -> Refusal:
    """Returns the refusal of an attempt whose prompt cannot be read: a damaged row ends only this attempt."""
    may_pass = isinstance(error, StorageError) and not isinstance(error, DatabaseDamagedError)
    return Refusal("UNAVAILABLE" if may_pass else "INVALID_ARGUMENT", str(error), reason=error.reason)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
