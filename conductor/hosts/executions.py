"""The executions of one host: an attempt stream for each, and a comparison whenever the host connects.

Brings commands to the stream of their attempt, and begins one where there is none. Compares what a host runs with what the core
counts on. An execution that no run counts on is dismissed: it is cancelled, and released when it has ended.
An attempt that the core counts on has a stream already, which finds out by itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import structlog

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1.execution_service_pb2_grpc import ExecutionServiceStub
from conductor.core.conversation import ExecutionCommand
from conductor.core.model.commands import StartExecution, TurnCommand
from conductor.hosts.attempt_stream import (
    FIRST_PAUSE_SECONDS,
    AttemptStream,
    EpochSupersededError,
    Inbox,
    Sources,
)
from conductor.hosts.identity import Identity
from servicekit.statuses import read_refusal

if TYPE_CHECKING:  # a name of the stubs only
    from agenthost.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

COMPARE_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class ExecutionLink:
    """Keeps the attempt streams of one host."""

    def __init__(
        self,
        host: str,
        channel: grpc.aio.Channel,
        *,
        identity: Identity,
        inbox: Inbox,
        sources: Sources,
        is_live: Callable[[str], bool],
        disable: Callable[[str], None],
    ) -> None:
        self._host = host
        self._stub: ExecutionServiceAsyncStub = ExecutionServiceStub(channel)
        self._identity = identity
        self._inbox = inbox
        self._sources = sources
        self._is_live = is_live
        self._disable = disable
        self._host_came = asyncio.Event()
        self._streams: dict[str, AttemptStream] = {}
        # One entry per attempt at most, and those are bounded by the core.
        self._beginning: asyncio.Queue[AttemptStream] = asyncio.Queue()

    @property
    def attempts(self) -> frozenset[str]:
        """The attempts that have a stream now."""
        return frozenset(self._streams)

    def post(self, command: ExecutionCommand) -> None:
        """Takes a command; never waits. A command without a host, or within a turn, is only for a stream that exists."""
        if isinstance(command, StartExecution):
            self._stream_of(command.start.execution).mailbox.put(command)
        elif command.attempt in self._streams or (command.host and not isinstance(command, TurnCommand)):
            self._stream_of(command.attempt).mailbox.put(command)

    def compare(self) -> None:
        """Asks for a comparison of what the host runs with what is known, when the host has connected. Never waits."""
        self._host_came.set()

    async def present(self) -> None:
        """Lets the host hear this epoch; returns when it has, so that it obeys no earlier one any more."""
        pause = FIRST_PAUSE_SECONDS
        with suppress(EpochSupersededError):  # `run` finds it again, and says so
            while await self._list() is None:
                await asyncio.sleep(pause)
                pause = min(pause * 2, COMPARE_SECONDS)

    async def run(self) -> None:
        """Runs until it is cancelled, or until a newer start of this conductor has taken the host over."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_comparing())
                while True:
                    tasks.create_task(self._run(await self._beginning.get()))
        except* EpochSupersededError:
            problem = (
                "a newer start of this conductor drives this host, so this one stopped speaking to it; "
                "if there is none, restart this conductor: it takes the host back"
            )
            _log.critical("host_superseded", host=self._host, epoch=self._identity.epoch)
            self._disable(problem)

    def _stream_of(self, attempt: str) -> AttemptStream:
        stream = self._streams.get(attempt)
        if stream is None:
            stream = AttemptStream(attempt, self._stub, self._identity, self._inbox, self._sources)
            self._streams[attempt] = stream
            self._beginning.put_nowait(stream)
        return stream

    async def _keep_comparing(self) -> None:
        while True:
            await self._host_came.wait()
            self._host_came.clear()
            pause = FIRST_PAUSE_SECONDS
            # A comparison that fails is made again: the host may stay connected, and then nothing else asks for it.
            while (known := await self._list()) is None:
                await asyncio.sleep(pause)
                pause = min(pause * 2, COMPARE_SECONDS)
            self._dismiss_unknown(known)

    async def _list(self) -> pb.ListExecutionsResponse | None:
        """Asks what the host runs; returns None where it does not say."""
        await self._identity.permit()
        request = pb.ListExecutionsRequest(conductor_id=self._identity.conductor_id, epoch=self._identity.epoch)
        try:
            known = await self._stub.ListExecutions(request, timeout=COMPARE_SECONDS)
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error)
            _log.warning("executions_not_compared", host=self._host, code=refusal.code, message=refusal.message)
            if await self._identity.is_superseded(refusal):
                raise EpochSupersededError from error
            return None
        self._identity.accept()
        return known

    def _dismiss_unknown(self, known: pb.ListExecutionsResponse) -> None:
        for execution in known.executions:
            attempt = execution.execution
            is_over = execution.state == pb.Execution.STATE_RELEASED
            if not is_over and attempt not in self._streams and not self._is_live(attempt):
                _log.warning("execution_dismissed", host=self._host, attempt=attempt)
                self._stream_of(attempt).dismiss(
                    self._host, execution.last_sequence, has_ended=execution.state == pb.Execution.STATE_FINISHED
                )

    async def _run(self, stream: AttemptStream) -> None:
        with structlog.contextvars.bound_contextvars(host=self._host, attempt=stream.attempt):
            try:
                await stream.run()
            finally:
                del self._streams[stream.attempt]
