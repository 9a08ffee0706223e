"""Requests of callers, from their submission to their answer.

A request id makes a request happen once. The store knows the ids of stored requests, for as long as their run or the memory of
its deletion is kept: such a request is answered here, as before, and the core never sees it. An id that is being decided is known
here only: another request with that id waits in the inbox until the first is answered.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from conductor.core.gates.decisions import GATE_NOT_FOUND
from conductor.core.model.commands import Accepted, Rejected, Reply
from conductor.core.model.inputs import Input, Request, RequestResolve, RequestRun, RunRequest
from conductor.core.model.registry import HostRequest
from conductor.engine.host_refusals import explain_host
from conductor.engine.inbox import Inbox
from conductor.errors import (
    InvalidRequestError,
    NoCapacityError,
    NotFoundError,
    PreconditionError,
    RequestIdReusedError,
    StatusError,
)
from conductor.store.port import Store
from conductor.store.records import StoredRequest
from conductor.store.refusals import run_not_found, run_was_deleted

RUN_NOT_RUNNING = "RUN_NOT_RUNNING"


class Requests:
    """Requests that wait for their answer."""

    def __init__(self, store: Store, inbox: Inbox) -> None:
        self._store = store
        self._inbox = inbox
        self._callers: dict[int, asyncio.Future[Reply]] = {}
        self._undecided: dict[int, str] = {}  # request ids that the core has not answered, by the number of their reply
        self._last_reply = 0

    async def submit(self, request: Request) -> Accepted:
        """Puts a request into the inbox and waits for its answer; raises the error that a rejection means."""
        self._last_reply += 1
        reply = self._last_reply
        self._inbox.request(replace(request, reply=reply))
        caller: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._callers[reply] = caller
        try:
            answer = await caller
        finally:
            del self._callers[reply]
        if isinstance(answer, Accepted):
            return answer
        raise await self._explain(request, answer)

    async def admit(self, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        """Answers the requests whose ids are stored; returns the inputs that the core is to decide."""
        ids = [entry.request_id for entry in inputs if isinstance(entry, Request) and entry.request_id]
        if not ids:
            return inputs
        known = await self._store.requests(ids)
        return tuple(entry for entry in inputs if not isinstance(entry, Request) or self._is_new(entry, known))

    def answer(self, reply: Reply) -> None:
        """Answers the caller of a request, unless it went away."""
        self._undecided.pop(reply.reply, None)
        if (caller := self._find_waiting(reply.reply)) is not None:
            caller.set_result(reply)

    def fail_all(self, make_error: Callable[[], StatusError]) -> None:
        """Raises an error for every caller that still waits. Their requests are decided all the same."""
        for reply in self._callers:
            self._fail(reply, make_error())

    def _is_new(self, request: Request, known: Mapping[str, StoredRequest]) -> bool:
        if not request.request_id:
            return True
        if (stored := known.get(request.request_id)) is not None:
            self._repeat(request, stored)
            return False
        if request.request_id in self._undecided.values():
            self._inbox.put_back(request)
            return False
        self._undecided[request.reply] = request.request_id
        return True

    def _repeat(self, request: Request, stored: StoredRequest) -> None:
        """Answers as before, also where the run was deleted since."""
        if stored.digest != request.request_digest:
            message = f"request id '{request.request_id}' was used before, with another body"
            self._fail(request.reply, RequestIdReusedError(message))
        elif not stored.deleted:
            self.answer(Accepted(request.reply, stored.run, repeated=True))
        elif isinstance(request, RequestRun):
            self._fail(request.reply, run_was_deleted(stored))
        else:
            self._fail(request.reply, run_not_found(stored.run, stored.deleted))

    def _fail(self, reply: int, error: StatusError) -> None:
        if (caller := self._find_waiting(reply)) is not None:
            caller.set_exception(error)

    def _find_waiting(self, reply: int) -> asyncio.Future[Reply] | None:
        caller = self._callers.get(reply)
        return None if caller is None or caller.done() else caller

    async def _explain(self, request: Request, rejected: Rejected) -> StatusError:
        """Returns the error that a reason of the core means. The core forgets ended runs; the store knows how they ended."""
        if isinstance(request, HostRequest):
            return explain_host(request, rejected.reason, rejected.message)
        if rejected.reason == RUN_NOT_RUNNING and not isinstance(request, RequestRun):
            row = await self._store.run(request.run)
            how = row.failure.message if row.failure else f"it {row.state}"
            message = f"run {request.run} has ended: {how}" if row.end_time is not None else rejected.message
            return PreconditionError(RUN_NOT_RUNNING, message, subject=f"runs/{request.run}")
        return explain_rejection(request, rejected.reason, rejected.message)


def explain_rejection(request: RunRequest, reason: str, message: str) -> StatusError:
    """Returns the error that a reason of the core means, whatever the store knows."""
    match reason:
        case NoCapacityError.reason:
            return NoCapacityError(message)
        case InvalidRequestError.reason:
            return InvalidRequestError(message=message)
        case StatusError.reason:
            return StatusError(message)
        case _ if isinstance(request, RequestResolve):
            return _explain_gate(request, reason, message)
        case _:
            run = request.plan.run if isinstance(request, RequestRun) else request.run
            return PreconditionError(reason, message, subject=f"runs/{run}")


def _explain_gate(request: RequestResolve, reason: str, message: str) -> StatusError:
    gate = f"{request.step}-{request.number}"
    if reason == GATE_NOT_FOUND:
        return NotFoundError("gate", gate, hint=message)
    return PreconditionError(reason, message, subject=f"runs/{request.run}/gates/{gate}")
