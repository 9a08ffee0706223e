"""Exchanges one request with a model's endpoint: sends it, waits where that is asked for, passes the answer, keeps the book.

An answer that has begun and breaks is cut off, so that no agent takes half of it for the whole.
"""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import replace

import h11

from agenthost.core.models.gateway_rules import FRAMING, Forward, Headers, Refusal, judge_answer
from agenthost.core.models.key_mask import KeyMask, mask_whole
from agenthost.core.models.meter import Meter, Reading, prompt_was_cut
from agenthost.core.models.rate_limits import wait_before_next
from agenthost.core.models.refusals import RATE_LIMITS, ModelTrouble, trouble_of, wait_of
from agenthost.models.gateway.account import Account
from agenthost.models.gateway.agent_side import AgentGoneError, AgentSide
from agenthost.models.gateway.limits import FIRST_ANSWER_SECONDS, JUDGED_AT_ONCE_BYTES
from agenthost.models.gateway.measured_request import MeasuredRequest
from agenthost.models.gateway.upstream import (
    Model,
    StaleError,
    UnreachableError,
    Upstream,
    UpstreamAnswer,
    read_error,
)


class _LimitedError(Exception):
    """The endpoint is asked too fast: the request is to be sent again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Exchange:
    """One request of an agent, which was judged and is sent to its model's endpoint."""

    def __init__(self, agent: AgentSide, account: Account, model: Model, forward: Forward, body: bytes) -> None:
        self._agent, self._account, self._model = agent, account, model
        self._forward, self._body = forward, body
        self._waits = 0  # for a rate limit

    async def run(self) -> bool:
        """Sends it, again after a pause that the endpoint asks for (`rate_limits`); returns whether another request may follow."""
        pool = self._model.pool
        while True:
            await pool.until_quiet_ends()
            self._account.use = self._account.use.with_request()
            measured = MeasuredRequest(self._account, thinks=self._forward.thinks)
            try:
                return await self._ask(measured)
            except _LimitedError as refusal:
                pool.note_refusal(refusal.seconds)
                self._waits += 1
            finally:
                measured.finish()

    async def _ask(self, measured: MeasuredRequest) -> bool:
        """Sends the request once; again where a kept connection was dead and repeating does no harm."""
        model = self._model
        forward = replace(self._forward, headers=measured.headers(self._forward.headers))
        try:
            try:
                async with model.connected(fresh=False) as upstream:
                    await _send_request(upstream, forward, self._body)
                    return await self._send_answer(upstream)
            except StaleError:
                if not forward.may_be_repeated:
                    return await self._tell_broken()
                async with model.connected(fresh=True) as upstream:
                    await _send_request(upstream, forward, self._body)
                    return await self._send_answer(upstream)
        except UnreachableError as error:
            why = f"{model.endpoint.url}: {error}"
            self._account.use = self._account.use.with_unreachable(why, thinks=forward.thinks)
            why = f"model '{model.endpoint.name}' cannot be reached ({error})"
            return await self._agent.turn_away(Refusal(502, "upstream_unreachable", why))

    async def _send_answer(self, upstream: Upstream) -> bool:
        account, thinks, status = self._account, self._forward.thinks, 0
        try:
            head = await upstream.receive(FIRST_ANSWER_SECONDS)
            if not isinstance(head, h11.Response):
                raise h11.RemoteProtocolError("no answer")
            status = head.status_code
            account.use = account.use.with_status(status)
            answer = UpstreamAnswer(upstream, await read_error(upstream) if status in RATE_LIMITS else deque())
            self._judge_limit(status, tuple(head.headers), answer.beginning)
            headers = judge_answer(status, head.headers)
            if isinstance(headers, Refusal):
                error = Reading(trouble=ModelTrouble.ERROR)
                account.use = account.use.with_answer(status, error, thinks=thinks)
                return await self._agent.turn_away(headers)
            meter = Meter(dict(headers).get(b"content-type", b""), status)
            try:
                await self._pass_answer(answer, status, headers, meter)
            finally:  # the agent may have heard enough of it
                account.use = account.use.with_model(meter.model if thinks else "")
        except AgentGoneError:
            account.use = account.use.with_failure()
            self._agent.cut_off()
            return False
        except (OSError, TimeoutError, h11.ProtocolError) as error:  # a head that fits no body cannot be passed on
            return await self._tell_broken(status, is_late=isinstance(error, TimeoutError))
        reading = await _judge_size(meter.finish(), self._forward, self._body)
        account.use = account.use.with_answer(status, reading, head.headers, now=time.time(), thinks=thinks)
        account.end_at_cut()
        return self._agent.is_complete

    def _judge_limit(self, status: int, headers: Headers, said: bytes) -> None:
        """Raises where the endpoint is asked too fast and the request is sent again; arms the end where it is not.

        `said` is the beginning of the body: it tells a quota, which no short wait brings back, from a rate limit.
        """
        if status not in RATE_LIMITS:
            return
        account, forward, now = self._account, self._forward, time.time()
        refused = Reading(trouble=trouble_of(status, said), error=said)
        account.use = account.use.with_answer(status, refused, headers, now=now, thinks=forward.thinks)
        is_quota = refused.trouble is ModelTrouble.QUOTA
        seconds = None if is_quota else wait_before_next(wait_of(dict(headers), said, now), self._waits)
        if seconds is None:
            account.use = account.use.with_end_armed()
        elif forward.may_be_repeated:
            raise _LimitedError(seconds)

    async def _tell_broken(self, status: int = 0, *, is_late: bool = False) -> bool:
        """Answers for an endpoint that did not; cuts off an answer that had begun."""
        self._account.use = self._account.use.with_cut(status, thinks=self._forward.thinks)
        if not self._agent.is_unanswered:
            self._account.end_at_cut()
            self._agent.cut_off()
            return False
        code, text = ("upstream_timeout", "took too long") if is_late else ("upstream_broke", "broke its answer off")
        refusal = Refusal(504 if is_late else 502, code, f"model '{self._model.endpoint.name}' {text}")
        return await self._agent.turn_away(refusal)

    async def _pass_answer(self, answer: UpstreamAnswer, status: int, headers: Headers, meter: Meter) -> None:
        key = self._model.key.encode()
        masked = [(name, value if name in FRAMING else mask_whole(self._model.key, value)) for name, value in headers]
        await self._agent.take(h11.Response(status_code=status, headers=masked))
        mask = KeyMask(key)
        while isinstance(event := await answer.next(), h11.Data):
            if data := mask.feed(bytes(event.data)):
                meter.feed(data)  # masked: the book tells names that the endpoint gives
                await self._agent.take(h11.Data(data=data))
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("broken off")
        if rest := mask.finish():
            meter.feed(rest)
            await self._agent.take(h11.Data(data=rest))
        await self._agent.take(h11.EndOfMessage())


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
