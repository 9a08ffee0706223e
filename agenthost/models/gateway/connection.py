"""Serves one connection of an agent: judges each request, gives it a slot, and relays or refuses it.

The agent is hostile and the endpoint may be broken, so both sides are read strictly, and every wait has an end. A request is held
as a whole, because its body is judged before anything of it leaves; of an answer only one piece is held.
"""

import asyncio
import contextlib

import h11

from agenthost.core.models.gateway_rules import Forward, Refusal, Request, judge, judge_body, too_large
from agenthost.core.models.rate_limits import ARMED, CUT
from agenthost.core.models.refusals import ModelTrouble
from agenthost.models.gateway.account import Account
from agenthost.models.gateway.agent_side import AgentSide
from agenthost.models.gateway.exchange import Exchange
from agenthost.models.gateway.limits import JUDGED_AT_ONCE_BYTES, QUEUE_SECONDS, REFUSED_SECONDS
from agenthost.models.gateway.upstream import Model

_TOO_MANY = Refusal(
    429, "too_many_at_once", "all places for this endpoint on this host are taken", retry_after_seconds=5
)


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
            self._account.use = self._account.use.with_refusal()
            self._is_to_pause = True
            with contextlib.suppress(h11.LocalProtocolError, OSError, TimeoutError):
                await self._agent.refuse(Refusal(error.error_status_hint, "malformed_request", str(error)))
                await self._agent.linger()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the agent is gone, or so slow that it may as well be
        finally:
            self._account.write()
            await self._pause()
            self._agent.close()

    async def _pause(self) -> None:
        """Delays an agent that was refused, so that it cannot keep the gateway busy with nonsense."""
        if self._is_to_pause:
            self._is_to_pause = False
            await asyncio.sleep(REFUSED_SECONDS)

    async def _serve_next(self) -> bool:
        """Serves one request; returns whether another may follow."""
        head = await self._agent.receive(None)
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
            is_placed = await (taking if self._is_free(model) else self._agent.while_there(taking))
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
            is_cut = self._account.use.thought.trouble is ModelTrouble.CUT
            return await self._turn_away(CUT if is_cut else ARMED)
        body = await self._agent.take_body()
        refusal = too_large() if body is None else await _judge_body(body, model)
        if body is None or refusal:
            return await self._turn_away(refusal or too_large())
        is_served = await self._agent.while_there(Exchange(self._agent, self._account, model, forward, body).run())
        if is_served is None:
            self._account.use = self._account.use.with_failure()
            self._agent.cut_off()
        return bool(is_served)

    async def _turn_away(self, refusal: Refusal) -> bool:
        """Refuses a request by the gateway's own rules."""
        self._account.use = self._account.use.with_refusal()
        self._is_to_pause = True
        return await self._agent.turn_away(refusal)


async def _judge_body(body: bytes, model: Model) -> Refusal | None:
    if len(body) <= JUDGED_AT_ONCE_BYTES:
        return judge_body(body, model.endpoint)
    return await asyncio.to_thread(judge_body, body, model.endpoint)
