"""Serves one connection of an agent: judges, relays or refuses, and counts each request.

The agent is hostile and the endpoint may be broken, so both sides are read strictly, and every wait has an end. A request is held
as a whole, because its body is judged before anything of it leaves; of an answer only one piece is held. An answer that has begun
and breaks is cut off, so that no agent takes half of it for the whole.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import h11

from agenthost.core.models.gateway_rules import (
    MAX_REQUEST_BYTES,
    Forward,
    Headers,
    Refusal,
    Request,
    judge,
    judge_answer,
    judge_body,
    too_large,
)
from agenthost.core.models.key_mask import KeyMask
from agenthost.core.models.meter import Meter, Reading, prompt_was_cut
from agenthost.core.models.rate_limits import ARMED, wait_before_next
from agenthost.core.models.refusals import RATE_LIMITS, ModelTrouble, wait_of
from agenthost.models.gateway.account import Account
from agenthost.models.gateway.limits import (
    BODY_SECONDS,
    CHUNK_BYTES,
    FIRST_ANSWER_SECONDS,
    JUDGED_AT_ONCE_BYTES,
    LINGER_SECONDS,
    MAX_AHEAD_BYTES,
    MAX_BODY_TO_DISCARD_BYTES,
    MAX_HEAD_BYTES,
    QUEUE_SECONDS,
    REFUSED_SECONDS,
    SEND_SECONDS,
    SILENCE_SECONDS,
)
from agenthost.models.gateway.upstream import Model, StaleError, UnreachableError, Upstream

_JSON = (b"content-type", b"application/json")
_TOO_MANY = Refusal(
    429, "too_many_at_once", "all places for this endpoint on this host are taken", retry_after_seconds=5
)


class _LimitedError(Exception):
    """The endpoint is asked too fast: the request is to be sent again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class AgentConnection:
    """One connection of an agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, account: Account) -> None:
        self._reader, self._writer, self._account = reader, writer, account
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._is_to_pause = False
        self._waits = 0  # for a rate limit, of the request that is at work

    async def run(self) -> None:
        """Serves until the agent is gone, or sends something that is not HTTP."""
        try:
            while await self._serve_next():
                self._http.start_next_cycle()
                await self._pause()
        except h11.RemoteProtocolError as error:
            self._account.use = self._account.use.with_refusal()
            self._is_to_pause = True
            with contextlib.suppress(h11.LocalProtocolError, OSError, TimeoutError):
                await self._refuse(Refusal(error.error_status_hint, "malformed_request", str(error)))
                await self._linger()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the agent is gone, or so slow that it may as well be
        finally:
            self._account.write()
            await self._pause()
            self._writer.transport.abort() if self._http.our_state is h11.ERROR else self._writer.close()

    async def _pause(self) -> None:
        """Delays an agent that was refused, so that it cannot keep the gateway busy with nonsense."""
        if self._is_to_pause:
            self._is_to_pause = False
            await asyncio.sleep(REFUSED_SECONDS)

    async def _serve_next(self) -> bool:
        """Serves one request; returns whether another may follow."""
        head = await self._receive(None)
        if not isinstance(head, h11.Request):
            return False
        model = self._account.model()
        if model is None:
            verdict: Forward | Refusal = Refusal(
                503, "model_not_configured", "the host's configuration lacks this model"
            )
        else:
            verdict = judge(Request(head.method, head.target, tuple(head.headers)), model.endpoint, model.key)
        if isinstance(verdict, Refusal) or model is None:
            return await self._turn_away(verdict)  # type: ignore[arg-type]
        with contextlib.ExitStack() as held:
            held.callback(self._account.write)
            taking = self._take_places(model, held)
            is_placed = await (taking if self._is_free(model) else self._while_there(taking))
            if not is_placed:
                return is_placed is False and await self._turn_away(_TOO_MANY)
            return await self._relay(model, verdict)

    def _is_free(self, model: Model) -> bool:
        return not (self._account.turn.locked() or model.places.locked() or model.pool.locked())

    async def _take_places(self, model: Model, held: contextlib.ExitStack) -> bool:
        """Takes the attempt's slot and the endpoint's places, as soon as earlier requests have ended; False where that is too late.

        Requests of one attempt wait for each other as long as the agent does.
        """
        await self._account.turn.acquire()
        held.callback(self._account.turn.release)
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                for places in (model.places, model.pool):
                    await places.acquire()
                    held.callback(places.release)
        except TimeoutError:
            return False
        return True

    async def _relay(self, model: Model, forward: Forward) -> bool:
        if self._account.use.armed:
            return await self._turn_away(ARMED)
        body = await self._take_body()
        refusal = too_large() if body is None else await _judge_body(body, model)
        if body is None or refusal:
            return await self._turn_away(refusal or too_large())
        is_served = await self._while_there(self._exchange(model, forward, body))
        if is_served is None:
            self._account.use = self._account.use.with_failure()
            self._http.send_failed()
        return bool(is_served)

    async def _take_body(self) -> bytes | None:
        """Returns the whole body; None when it is too large. Its stated length was judged with the head."""
        pieces, size = [], 0
        async for data in self._body():
            size += len(data)
            if size > MAX_REQUEST_BYTES:
                return None
            pieces.append(data)
        return b"".join(pieces)

    async def _exchange(self, model: Model, forward: Forward, body: bytes) -> bool:
        """Sends the request and passes the answer; waits and sends it again where the endpoint asks for that (`rate_limits`)."""
        self._waits = 0
        while True:
            await model.pool.until_quiet_ends()
            self._account.use = self._account.use.with_request()
            try:
                return await self._ask(model, forward, body)
            except _LimitedError as refusal:
                model.pool.keep_quiet(refusal.seconds)
                self._waits += 1

    async def _ask(self, model: Model, forward: Forward, body: bytes) -> bool:
        """Sends the request once; again where a kept connection was dead and repeating does no harm."""
        try:
            try:
                async with model.connected(fresh=False) as upstream:
                    await _send_request(upstream, forward, body)
                    return await self._send_answer(upstream, model, forward, body)
            except StaleError:
                if not forward.may_be_repeated:
                    return await self._tell_broken(model, forward)
                async with model.connected(fresh=True) as upstream:
                    await _send_request(upstream, forward, body)
                    return await self._send_answer(upstream, model, forward, body)
        except UnreachableError as error:
            why = f"{model.endpoint.url}: {error}"
            self._account.use = self._account.use.with_unreachable(why, thinks=forward.thinks)
            why = f"model '{model.endpoint.name}' cannot be reached ({error})"
            return await self._turn_away(Refusal(502, "upstream_unreachable", why), count=False)

    async def _send_answer(self, upstream: Upstream, model: Model, forward: Forward, body: bytes) -> bool:
        account, status = self._account, 0
        try:
            head = await upstream.receive(FIRST_ANSWER_SECONDS)
            if not isinstance(head, h11.Response):
                raise h11.RemoteProtocolError("no answer")  # noqa: TRY301 - one place decides what follows
            status = head.status_code
            account.use = account.use.with_status(status)
            self._judge_limit(status, tuple(head.headers), forward)
            headers = judge_answer(status, head.headers)
            if isinstance(headers, Refusal):
                error = Reading(trouble=ModelTrouble.ERROR)
                account.use = account.use.with_answer(status, error, thinks=forward.thinks)
                return await self._turn_away(headers, count=False)
            meter = Meter(dict(headers).get(b"content-type", b""), status)
            await self._pass_answer(upstream, status, headers, model.key.encode(), meter)
        except (OSError, TimeoutError, h11.RemoteProtocolError) as error:
            return await self._tell_broken(model, forward, status, is_late=isinstance(error, TimeoutError))
        reading = await _judge_size(meter.finish(), forward, body)
        account.use = account.use.with_answer(status, reading, head.headers, now=time.time(), thinks=forward.thinks)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _judge_limit(self, status: int, headers: Headers, forward: Forward) -> None:
        """Raises where the endpoint is asked too fast and the request is sent again; arms the end where it is not."""
        if status not in RATE_LIMITS:
            return
        account, now = self._account, time.time()
        refused = Reading(trouble=ModelTrouble.RATE_LIMIT)
        account.use = account.use.with_answer(status, refused, headers, now=now, thinks=forward.thinks)
        seconds = wait_before_next(wait_of(dict(headers), b"", now), self._waits)
        if seconds is None:
            account.use = account.use.with_end_armed()
        elif forward.may_be_repeated:
            raise _LimitedError(seconds)

    async def _tell_broken(self, model: Model, forward: Forward, status: int = 0, *, is_late: bool = False) -> bool:
        """Answers for an endpoint that did not; cuts off an answer that had begun."""
        self._account.use = self._account.use.with_cut(status, thinks=forward.thinks)
        if self._http.our_state is not h11.SEND_RESPONSE:
            self._http.send_failed()
            return False
        code, text = ("upstream_timeout", "took too long") if is_late else ("upstream_broke", "broke its answer off")
        refusal = Refusal(504 if is_late else 502, code, f"model '{model.endpoint.name}' {text}")
        return await self._turn_away(refusal, count=False)

    async def _pass_answer(
        self, upstream: Upstream, status: int, headers: tuple[tuple[bytes, bytes], ...], key: bytes, meter: Meter
    ) -> None:
        masked = [(name, KeyMask(key).feed(value) if key else value) for name, value in headers]
        await self._send(h11.Response(status_code=status, headers=masked))
        mask = KeyMask(key)
        while isinstance(event := await upstream.receive(SILENCE_SECONDS), h11.Data):
            meter.feed(bytes(event.data))
            if data := mask.feed(bytes(event.data)):
                await self._send(h11.Data(data=data))
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("broken off")
        if rest := mask.finish():
            await self._send(h11.Data(data=rest))
        await self._send(h11.EndOfMessage())

    async def _while_there(self, work: Awaitable[bool]) -> bool | None:
        """Does the work only while the agent is connected: it costs money. Returns None where the agent hung up."""
        async with asyncio.TaskGroup() as tasks:
            job = tasks.create_task(_result_of(work))
            watch = tasks.create_task(self._until_gone())
            await asyncio.wait({job, watch}, return_when=asyncio.FIRST_COMPLETED)
            is_done = job.done()
            job.cancel()
            watch.cancel()
        return job.result() if is_done else None

    async def _until_gone(self) -> None:
        """Waits until the agent hangs up; keeps what it sends meanwhile: a body that waits, or its next request."""
        ahead = 0
        while data := await self._reader.read(CHUNK_BYTES):
            self._http.receive_data(data)
            ahead += len(data)
            if ahead > MAX_AHEAD_BYTES:
                await asyncio.Event().wait()

    async def _turn_away(self, refusal: Refusal, *, count: bool = True) -> bool:
        """Refuses a request whose body may still be on its way."""
        if count:
            self._account.use = self._account.use.with_refusal()
            self._is_to_pause = True
        is_heard = await self._hear_out(refusal)
        await self._refuse(refusal)
        if not is_heard:
            await self._linger()
        return is_heard and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _hear_out(self, refusal: Refusal) -> bool:
        """Reads the rest of a refused request, unless it is too long, or the client waits for leave to send it."""
        size = 0
        if refusal.status == too_large().status or self._http.they_are_waiting_for_100_continue:
            return False
        async for data in self._body():
            size += len(data)
            if size > MAX_BODY_TO_DISCARD_BYTES:
                return False
        return True

    async def _refuse(self, refusal: Refusal) -> None:
        body = refusal.body()
        headers = [_JSON, (b"content-length", str(len(body)).encode()), (b"x-gateway-error", refusal.code.encode())]
        if refusal.retry_after_seconds is not None:
            headers.append((b"retry-after", str(refusal.retry_after_seconds).encode()))
        await self._send(h11.Response(status_code=refusal.status, headers=headers))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def _linger(self) -> None:
        """Reads on for a moment: closing with unread data would take the answer away from the agent."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(CHUNK_BYTES):
                    pass

    async def _body(self) -> AsyncIterator[bytes]:
        while self._http.their_state is h11.SEND_BODY:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            event = await self._receive(BODY_SECONDS)
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def _receive(self, seconds: float | None) -> h11.Event:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            async with asyncio.timeout(seconds):
                self._http.receive_data(await self._reader.read(CHUNK_BYTES))

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()


async def _result_of(work: Awaitable[bool]) -> bool:
    try:
        return await work
    except (OSError, TimeoutError):  # the agent is gone, or takes no more data
        return False


async def _judge_body(body: bytes, model: Model) -> Refusal | None:
    if len(body) <= JUDGED_AT_ONCE_BYTES:
        return judge_body(body, model.endpoint)
    return await asyncio.to_thread(judge_body, body, model.endpoint)


async def _judge_size(reading: Reading, forward: Forward, body: bytes) -> Reading:
    """Returns the reading; an overflow where the endpoint counts far fewer tokens than the prompt has."""
    if reading.tokens is None or reading.trouble or not forward.thinks:
        return reading
    if len(body) <= JUDGED_AT_ONCE_BYTES:
        is_cut = prompt_was_cut(body, reading.tokens.taken)
    else:
        is_cut = await asyncio.to_thread(prompt_was_cut, body, reading.tokens.taken)
    return replace(reading, trouble=ModelTrouble.OVERFLOW) if is_cut else reading


async def _send_request(upstream: Upstream, forward: Forward, body: bytes) -> None:
    """Sends the request, or as much as the endpoint takes: one that has answered already may read no further."""
    with contextlib.suppress(OSError, TimeoutError):
        await upstream.send(h11.Request(method=forward.method, target=forward.target, headers=list(forward.headers)))
        if body:
            await upstream.send(h11.Data(data=body))
        await upstream.send(h11.EndOfMessage())
