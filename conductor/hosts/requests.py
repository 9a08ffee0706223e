"""Makes the frames that one attempt's stream sends to its host. Prompts and inputs are read from the store as they are needed."""

from collections.abc import Awaitable, Callable
from typing import Any

from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.conversation import Conversation
from conductor.core.model.commands import AckExecution, CancelExecution, CloseExecution, SendInput
from conductor.hosts.frames import input_frame, start_frame
from conductor.hosts.identity import Identity

LaterCommand = CancelExecution | SendInput | CloseExecution | AckExecution


class Requests:
    """Makes frames. Those that carry a text raise StatusError where it cannot be read."""

    def __init__(
        self, conversation: Conversation, identity: Identity, read: Callable[[str, str], Awaitable[bytes]]
    ) -> None:
        self._conversation = conversation
        self._identity = identity
        self._read = read

    async def opening(self) -> pb.ExecuteRequest:
        """Returns the first frame of a stream."""
        attempt = self._conversation.attempt
        if (command := self._conversation.to_start) is None:
            return await self._request(resume=pb.Resume(execution=attempt, after_sequence=self._conversation.received))
        return await self._request(start=start_frame(command.start, await self._text(command.start.prompt)))

    async def later(self, command: LaterCommand) -> pb.ExecuteRequest:
        """Returns a frame of a stream that has begun."""
        match command:
            case CancelExecution():
                return await self._request(cancel=pb.Cancel(reason=command.reason))
            case SendInput():
                return await self._request(input=input_frame(command, await self._text(command.text)))
            case CloseExecution():
                return await self._request(close=pb.Close())
            case AckExecution():
                return await self._request(ack=pb.Ack(sequence=command.sequence))

    async def _text(self, digest: str) -> str:
        return (await self._read(self._conversation.attempt.partition("-")[0], digest)).decode()

    async def _request(self, **frame: Any) -> pb.ExecuteRequest:
        await self._identity.permit()
        return pb.ExecuteRequest(
            conductor_id=self._identity.conductor_id,
            epoch=self._identity.epoch,
            instance=self._conversation.instance,
            **frame,
        )
