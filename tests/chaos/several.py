"""A channel to several conductors of one store: the next one is asked when one does not answer, or says that it is a standby."""

from collections.abc import Sequence
from typing import Any, Self

import grpc


class SeveralChannel:
    """As much of a channel as stubs use. Callers repeat what no conductor answered."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._channels = channels
        self.turn = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        calls = [channel.unary_unary(*arguments, **options) for channel in self._channels]

        async def call(request: Any, **more: Any) -> Any:
            failed: grpc.aio.AioRpcError | None = None
            for _ in calls:
                turn = self.turn
                try:
                    return await calls[turn % len(calls)](request, **more)
                except grpc.aio.AioRpcError as error:
                    failed = error
                    self.note(error, turn)
                    if turn == self.turn:
                        break
            assert failed is not None
            raise failed

        return call

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        calls = [channel.unary_stream(*arguments, **options) for channel in self._channels]
        return lambda request, **more: _Stream(self, calls[self.turn % len(calls)](request, **more))

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._channels[self.turn % len(self._channels)].stream_stream(*arguments, **options)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._channels[self.turn % len(self._channels)].stream_unary(*arguments, **options)

    def note(self, error: grpc.aio.AioRpcError, turn: int) -> None:
        """Goes on to the next conductor, unless another call did so already."""
        if self.turn == turn and error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
            self.turn = turn + 1


class _Stream:
    def __init__(self, channel: SeveralChannel, call: Any) -> None:
        self._channel = channel
        self._call = call
        self._turn = channel.turn

    def __aiter__(self) -> "_Stream":
        self._messages = aiter(self._call)
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._messages)
        except grpc.aio.AioRpcError as error:
            self._channel.note(error, self._turn)
            raise

    def cancel(self) -> bool:
        return bool(self._call.cancel())
