"""The outermost interceptor: every exception becomes a status, every call has its caller and its place, every request its limit.

Servicers only raise. Handlers may be coroutines or async generators, of all four kinds. Streaming ones must take requests from
their iterator, not from `context.read()`, because the limit is kept there; one that calls `context.write` itself sends the headers
first. `statuses` decides about errors, and `admit` about callers, before anything of the request is read.
"""

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from servicekit.calls.callers import Admit, set_caller
from servicekit.calls.headers import send_headers
from servicekit.calls.rooms import Rooms
from servicekit.errors import InvalidRequestError, ShuttingDownError, StatusError, Violation
from servicekit.statuses import DETAILS_KEY, describe, describe_defect, find_rich

MAX_REQUEST_BYTES = 4 * 1024 * 1024
# So many calls are admitted again at a time; others are served in between.
SWEPT_AT_A_TIME = 50

_HEALTH = "/grpc.health.v1.Health/"

_log = structlog.get_logger()

Call = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _AtWork:
    """A call at work. A streamed answer may have no end of its own."""

    method: str
    context: Any
    is_stream: bool


class StatusInterceptor(grpc.aio.ServerInterceptor):
    """Turns exceptions into statuses, and knows the calls that are at work."""

    def __init__(self, domain: str, admit: Admit | None = None) -> None:
        self._domain = domain
        self._admit = admit
        self._calls: dict[asyncio.Task[Any], _AtWork] = {}
        # Why a call at work was ended.
        self._ended: dict[asyncio.Task[Any], StatusError] = {}
        self._rooms = Rooms()
        self._is_stopping = False

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wraps the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return _wrapped(handler, self._guarded(handler, handler_call_details.method))

    async def end_calls(self, grace_seconds: float) -> None:
        """Refuses new calls, ends streams with SHUTTING_DOWN, and after the grace all others too.

        Returns when the last handler has cleaned up; `server.stop` alone returns before that (grpc.md 9).
        """
        self._is_stopping = True
        self._end(task for task, call in self._calls.items() if call.is_stream)
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace_seconds)
        self._end(self._calls)
        while self._calls:
            await asyncio.wait(self._calls)

    async def sweep(self) -> None:
        """Ends the calls at work whose callers are not admitted any more: a certificate ended or was revoked, or a token was."""
        if self._admit is None:
            return
        for number, (task, call) in enumerate(tuple(self._calls.items()), start=1):
            try:
                self._admit(call.method, call.context)
            except StatusError as error:
                _log.warning("call_ended", method=call.method, reason=error.reason, message=str(error))
                self._end([task], error)
            if number % SWEPT_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _end(self, calls: Iterable[asyncio.Task[Any]], error: StatusError | None = None) -> None:
        for task in tuple(calls):
            if task in self._calls:
                self._ended.setdefault(task, error or ShuttingDownError())
                task.cancel()

    async def _abort_defect(self, context: Any, method: str) -> NoReturn:
        error_id = secrets.token_hex(4)
        _log.exception("call_failed", error_id=error_id, method=method)
        await _abort(context, describe_defect(error_id, self._domain))

    def _check_open(self, method: str) -> None:
        if self._is_stopping and not method.startswith(_HEALTH):
            raise ShuttingDownError

    def _guarded(self, handler: Any, method: str) -> Call:
        call = _call_of(handler)
        read = _read_stream if handler.request_streaming else _read_one

        async def guarded(request: Any, context: Any) -> Any:
            task = _current_task()
            self._calls[task] = _AtWork(method, context, bool(handler.response_streaming))
            try:
                if self._admit:
                    set_caller(self._admit(method, context))
                self._check_open(method)
                with self._rooms.place(method, is_stream=bool(handler.response_streaming)):
                    return await call(await read(request, context), context)
            except asyncio.CancelledError:
                if task in self._ended and task.cancelling() == 1:
                    task.uncancel()
                    await _abort(context, describe(self._ended[task], self._domain))
                if task.cancelling():
                    raise
                # A cancellation that this call did not ask for: unanswered, it hangs the client until its deadline.
                await self._abort_defect(context, method)
            except grpc.aio.AbortError:
                raise
            # A task group inside of a generator cancels this task while it writes; closing the generator then raises a
            # group that holds GeneratorExit beside the cause, which is no Exception.
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - a task's top: every error becomes a status
                if (rich := find_rich(error)) is not None:
                    await _abort(context, describe(rich, self._domain))
                if _tells_of_a_lost_client(error):
                    await context.abort(grpc.StatusCode.CANCELLED, "the connection was lost while it was written to")
                await self._abort_defect(context, method)
            finally:
                del self._calls[task]
                self._ended.pop(task, None)

        return guarded


def _call_of(handler: Any) -> Call:
    """Returns any handler as one coroutine function, which writes the responses of a generator.

    A generator that gRPC itself iterates stays suspended when its call is cancelled, and cleans up whenever the garbage collector
    finds it; here it is closed in the call's own task.
    """
    method = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if not inspect.isasyncgenfunction(method):
        return method  # type: ignore[no-any-return]

    async def written(request: Any, context: Any) -> None:
        is_begun = False
        async with aclosing(method(request, context)) as responses:
            async for response in responses:
                if not is_begun:
                    await send_headers(context)
                    is_begun = True
                await context.write(response)

    return written


def _wrapped(handler: Any, call: Call) -> Any:
    # gRPC would read a single request, of up to 16 MiB, before it calls the handler, and so before the caller is known.
    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    return make(
        call,
        request_deserializer=_limited(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )


def _limited(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Reads a request, or returns the error instead: an exception of a deserializer reaches the client without details."""
    if deserialize is None:
        return None

    def limited(data: bytes) -> Any:
        if len(data) > MAX_REQUEST_BYTES:
            return _unreadable(f"the request has {len(data)} bytes; the limit is {MAX_REQUEST_BYTES} (4 MiB)")
        try:
            return deserialize(data)
        except DecodeError:
            return _unreadable("the request is not a message of this method")

    return limited


def _unreadable(text: str) -> InvalidRequestError:
    return InvalidRequestError(Violation("", text))


async def _read_one(_: Any, context: Any) -> Any:
    request = await context.read()
    if request is grpc.aio.EOF:
        raise _unreadable("the call has no request")
    if isinstance(request, InvalidRequestError):
        raise request
    return request


async def _read_stream(requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
    return _checked(requests)


async def _checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if isinstance(request, InvalidRequestError):
            raise request
        yield request


def _tells_of_a_lost_client(error: BaseException) -> bool:
    """The error is only a write on a lost connection; gRPC cancels such a call a moment later."""
    if isinstance(error, BaseExceptionGroup):
        return all(isinstance(inner, GeneratorExit) or _tells_of_a_lost_client(inner) for inner in error.exceptions)
    return isinstance(error, grpc.aio.InternalError)


async def _abort(context: Any, status: status_pb2.Status) -> NoReturn:
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    await context.abort(code, status.message, trailing_metadata=((DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError  # abort raises always


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a handler runs in a task")
    return task
