"""Serves one connection of an agent: judges each request, gives it a slot, and relays or refuses it.

The agent is hostile and the endpoint may be broken, so both sides are read strictly, and every wait has an end. A request is held
as a whole, because its body is judged before anything of it leaves; of an answer only one piece is held. An attempt has one
turn, for one request at a time. A request takes the endpoint's places only when it is whole: an agent that sends slowly keeps
nothing from its neighbours.
"""

import asyncio
import contextlib
from collections.abc import Awaitable

import h11

from agenthost.core.models.gateway_rules import Forward, Refusal, Request, judge, judge_body
from agenthost.core.models.rate_limits import ARMED, CUT
from agenthost.core.models.refusals import ModelTrouble
from agenthost.models.gateway.account import Account
from agenthost.models.gateway.agent_side import AgentSide, SlowError
from agenthost.models.gateway.exchange import Exchange
from agenthost.models.gateway.limits import JUDGED_AT_ONCE_BYTES, QUEUE_SECONDS, REFUSED_SECONDS
from agenthost.models.gateway.room import TOO_MANY, BodyRoom
from agenthost.models.gateway.upstream import Model


class AgentConnection:
    """One connection of an agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, account: Account) -> None:
        self._agent, self._account = AgentSide(reader, writer), account
        self._is_to_pause = False

    async def run(self) -> None:
        """Serves until the agent is gone, or sends something that is not HTTP."""
        try:
            while await self._serve_next():
                self._agent.begin_again()
                await self._pause()
        except h11.RemoteProtocolError as error:
            await self._end_with(Refusal(error.error_status_hint, "malformed_request", str(error)))
        except SlowError as error:
            await self._end_with(Refusal(408, "request_too_slow", str(error)))
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the agent is gone, or so slow that it may as well be
        finally:
            self._account.write()
            await self._pause()
            self._agent.close()

    async def _end_with(self, refusal: Refusal) -> None:
        """Refuses what is no request, as the last answer of this connection."""
        self._account.use = self._account.use.with_refusal()
        self._is_to_pause = True
        with contextlib.suppress(h11.LocalProtocolError, OSError, TimeoutError):
            await self._agent.refuse(refusal)
            await self._agent.linger()

    async def _pause(self) -> None:
        """Delays an agent that was refused, so that it cannot keep the gateway busy with nonsense."""
        if self._is_to_pause:
            self._is_to_pause = False
            await asyncio.sleep(REFUSED_SECONDS)

    async def _serve_next(self) -> bool:
        """Serves one request; returns whether another may follow."""
        head = await self._agent.receive_head()
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
            if not await self._wait(self._take_turn(held), is_free=not self._account.turn.locked()):
                return False
            return await self._serve_whole(model, verdict)

    async def _wait(self, taking: Awaitable[bool], *, is_free: bool) -> bool | None:
        """Waits for a place as long as the agent does; returns None where it hung up."""
        return await (taking if is_free else self._agent.while_there(taking))

    async def _take_turn(self, held: contextlib.ExitStack) -> bool:
        await self._account.turn.acquire()
        held.callback(self._account.turn.release)
        return True

    async def _take_places(self, model: Model, held: contextlib.ExitStack) -> bool:
        """Takes the endpoint's places, as soon as earlier requests have ended; returns False where that is too late."""
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                for places in (model.places, model.pool):
                    await places.acquire()
                    held.callback(places.release)
        except TimeoutError:
            held.close()
            return False
        return True

    async def _serve_whole(self, model: Model, forward: Forward) -> bool:
        """Reads the body, judges it, and relays the request that is whole by now."""
        self._account.use = self._account.use.with_kept_back(forward.kept_back)
        if self._account.use.armed:
            is_cut = self._account.use.thought.trouble is ModelTrouble.CUT
            return await self._turn_away(CUT if is_cut else ARMED)
        with contextlib.closing(BodyRoom(self._account.large_bodies)) as room:
            body = await self._agent.take_body(room.judge)
            refusal = body if isinstance(body, Refusal) else await _judge_body(body, model, forward)
            if isinstance(body, Refusal) or refusal:
                return await self._turn_away(refusal)  # type: ignore[arg-type]
            return await self._relay(model, forward, body)

    async def _relay(self, model: Model, forward: Forward, body: bytes) -> bool:
        with contextlib.ExitStack() as held:
            is_free = not (model.places.locked() or model.pool.locked())
            is_placed = await self._wait(self._take_places(model, held), is_free=is_free)
            if not is_placed:
                return is_placed is False and await self._turn_away(TOO_MANY)
            is_served = None
            try:
                is_served = await self._agent.while_there(
                    Exchange(self._agent, self._account, model, forward, body).run()
                )
            finally:  # the attempt may have ended around an answer that its agent had heard enough of
                if is_served is None:
                    self._account.use = self._account.use.with_failure()
            if is_served is None:
                self._agent.cut_off()
            return bool(is_served)

    async def _turn_away(self, refusal: Refusal) -> bool:
        """Refuses a request by the gateway's own rules."""
        self._account.use = self._account.use.with_refusal().with_kept_back(refusal.kept_back)
        self._is_to_pause = True
        return await self._agent.turn_away(refusal)


async def _judge_body(body: bytes, model: Model, forward: Forward) -> Refusal | None:
    if len(body) <= JUDGED_AT_ONCE_BYTES:
        return judge_body(body, model.endpoint, forward.fields)
    return await asyncio.to_thread(judge_body, body, model.endpoint, forward.fields)
