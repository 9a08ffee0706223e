"""One channel over the conductors of several addresses: a call that one of them cannot answer is made to the next.

A repeated call is the same message, so its request id is kept. A stream is begun again only before its first message; later ones
end with their error, and who follows a run opens the next stream, after its last position, at the address whose turn it is then.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import grpc

from conductor.cli.addresses import Turns, may_repeat
from servicekit.statuses import read_refusal


class FailoverChannel(grpc.Channel):
    """Calls the conductor whose turn it is."""

    def __init__(self, channels: Sequence[grpc.Channel], turns: Turns) -> None:
        self._channels = channels
        self._turns = turns

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Makes a call that is repeated where it may be."""
        return _Unary(
            method, [channel.unary_unary(method, *arguments, **options) for channel in self._channels], self._turns
        )

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Makes a stream that begins at another conductor where the first one refuses it."""
        calls = [channel.unary_stream(method, *arguments, **options) for channel in self._channels]
        return lambda request, **more: _Stream(
            lambda: calls[self._turns.place](request, **more), self._turns, is_repeated=True
        )

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Makes a stream whose requests come once, so that only its caller can repeat it."""
        calls = [channel.stream_stream(method, *arguments, **options) for channel in self._channels]
        return lambda requests, **more: _Stream(
            lambda: calls[self._turns.place](requests, **more), self._turns, is_repeated=False
        )

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Makes a call to the conductor whose turn it is."""
        return self._channels[self._turns.place].stream_unary(method, *arguments, **options)

    def subscribe(self, callback: Any, try_to_connect: bool | None = None) -> None:  # noqa: FBT001 - as gRPC has it
        """Tells how the first connection fares."""
        self._channels[0].subscribe(callback, try_to_connect=bool(try_to_connect))

    def unsubscribe(self, callback: Any) -> None:
        """Tells it no longer."""
        self._channels[0].unsubscribe(callback)

    def close(self) -> None:
        """Closes every channel."""
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Unary:
    """A method, at each address."""

    def __init__(self, method: str, calls: Sequence[Any], turns: Turns) -> None:
        self._method = method
        self._calls = calls
        self._turns = turns

    def __call__(self, request: object, **options: Any) -> Any:
        return self.future(request, **options).result()

    def future(self, request: object, **options: Any) -> "_Answer":
        """Begins the call."""

        def begin() -> Any:
            return self._calls[self._turns.place].future(request, **options)

        return _Answer(begin, lambda refusal: may_repeat(self._method, request, refusal), self._turns)


class _Answer:
    """An answer that is waited for, from the first conductor that gives it."""

    def __init__(self, begin: Callable[[], Any], may_repeat: Callable[[Any], bool], turns: Turns) -> None:
        self._begin = begin
        self._may_repeat = may_repeat
        self._turns = turns
        self._pauses = turns.pauses()
        self._call = begin()

    def result(self, timeout: float | None = None) -> Any:
        """Returns the answer; raises grpc.FutureTimeoutError, or the error with which no conductor answers."""
        while True:
            try:
                return self._call.result(timeout)
            except grpc.RpcError as error:
                refusal = read_refusal(error)
                if not self._turns.move(refusal) or not self._may_repeat(refusal) or not self._pauses.wait():
                    raise
                self._call = self._begin()

    def cancel(self) -> bool:
        """Gives the answer up."""
        return bool(self._call.cancel())


class _Stream:
    """A stream from one conductor. Until its first message it may begin at another."""

    def __init__(self, begin: Callable[[], Any], turns: Turns, *, is_repeated: bool) -> None:
        self._begin = begin
        self._turns = turns
        self._pauses = turns.pauses()
        self._may_begin_again = is_repeated
        self._call = begin()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                message = next(self._call)
            except grpc.RpcError as error:
                has_moved = self._turns.move(read_refusal(error))
                if not has_moved or not self._may_begin_again or not self._pauses.wait():
                    raise
                self._call = self._begin()
            else:
                self._may_begin_again = False
                return message

    def cancel(self) -> bool:
        """Ends the stream."""
        return bool(self._call.cancel())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
