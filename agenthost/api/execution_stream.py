"""One Execute stream, once its execution is known: a reader that never waits for the agent, and the only writer.

It ends when `finished` was written and the client half-closes (OK), or does not acknowledge the end in time (END_UNHEARD); when
the client sends a wrong frame; when a newer stream takes over; or when the connection is lost, which looks like a half-close at
first. A half-close alone therefore ends nothing: the writer goes on until writing fails, but the lease is not renewed for it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from agenthost.api.messages import write_frame
from agenthost.attempt.attachment import Attachment
from agenthost.attempt.execution import Execution
from agenthost.config import LINGER_SECONDS
from agenthost.core.output.input_queue import MAX_INPUT_BYTES
from agenthost.errors import EndUnheardError, InvalidRequestError, StreamSupersededError, Violation
from agenthost.host.fences import Fences
from agenthost.host.supervisor import Supervisor
from agenthost.v1 import execution_service_pb2 as pb
from servicekit.calls.headers import send_headers


class ExecutionStream:
    """Carries frames both ways."""

    def __init__(self, execution: Execution, supervisor: Supervisor, fences: Fences) -> None:
        self._execution = execution
        self._supervisor = supervisor
        self._fences = fences

    async def serve(self, requests: AsyncIterator[pb.ExecuteRequest], context: Any, after: int) -> None:
        """Serves the stream to its end; raises the status that the client gets."""
        # Before the reader begins: the replay must know its numbers before an acknowledgement is taken.
        await send_headers(context)
        async with self._execution.attachments.attach() as attachment, asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(self._read(requests, attachment))
            watcher = tasks.create_task(self._watch(attachment))
            await self._write(context, after)
            # gRPC loses the status of a server that returns first. Never put a timeout around a read itself.
            await asyncio.wait({reader}, timeout=LINGER_SECONDS)
            left_in_order = reader.done() and not self._execution.delivery.acknowledged
            reader.cancel()
            watcher.cancel()
            # An acknowledgement may have come before the replay knew which number the end has.
            await self._release_if_acknowledged()
        if self._execution.delivery.is_unheard and not left_in_order:
            # OK means that nothing is left to do: a client that has not acknowledged the end must come back for it.
            raise EndUnheardError

    async def _write(self, context: Any, after: int) -> None:
        async with aclosing(self._execution.open_outbox(after).frames(after)) as frames:
            async for frame in frames:
                await context.write(write_frame(frame))

    async def _read(self, requests: AsyncIterator[pb.ExecuteRequest], attachment: Attachment) -> None:
        async for request in requests:
            await self._fences.admit(request.conductor_id, request.epoch)
            self._take(request)
            await self._release_if_acknowledged()
        attachment.is_heard = False

    async def _release_if_acknowledged(self) -> None:
        if self._execution.delivery.is_settled:
            await self._supervisor.release(self._execution)

    def _take(self, request: pb.ExecuteRequest) -> None:
        match request.WhichOneof("frame"):
            case "input":
                self._take_input(request.input)
            case "close":
                self._execution.close_input()
            case "cancel":
                self._execution.cancel(request.cancel.reason)
            case "ack":
                self._execution.delivery.acknowledge(request.ack.sequence)
            case "start" | "resume":
                raise InvalidRequestError(Violation("frame", "only the first frame may be start or resume"))
            case None:
                raise InvalidRequestError(Violation("frame", "is required"))

    def _take_input(self, message: pb.Input) -> None:
        size = len(message.text.encode())
        if size > MAX_INPUT_BYTES:
            raise InvalidRequestError(Violation("input.text", f"has {size} bytes; at most {MAX_INPUT_BYTES} are taken"))
        kinds = {pb.Input.KIND_UNSPECIFIED} | ({pb.Input.KIND_PROMPT} if self._execution.has_turns else set())
        if message.kind not in kinds:
            raise InvalidRequestError(Violation("input.kind", f"{message.kind} is none that this execution takes"))
        self._execution.offer_input(message.input_sequence, message.text)

    async def _watch(self, attachment: Attachment) -> None:
        await attachment.superseded.wait()
        raise StreamSupersededError
