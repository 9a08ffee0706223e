"""The stdin of a simulated agent that takes turns: the real rules of inputs and turns, and what the keeper does by them.

What is played is the pipe: it takes an input at once and whole, and the agent reads it when it waits for one.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agenthost.shim.clocks import Clocks
from agenthost.shim.spool import APPLIED, CLOSED, INPUT, REFUSED
from agenthost.shim.turns import INPUT_CLOSED, Inputs, Turns

if TYPE_CHECKING:
    from tests.simulation.programs.shim import Link

Keep = Callable[[int, bytes], object]


class Stdin:
    """Queues inputs, spools them, and gives them to the agent when no turn runs."""

    def __init__(self, allowed: int, clocks: Clocks, now: Callable[[], float], keep: Keep) -> None:
        self.turns = Turns(allowed)
        self._inputs = Inputs()
        self._clocks = clocks
        self._now = now
        self._keep = keep
        self._links: dict[int, Link] = {}
        self._pipe: asyncio.Queue[str] = asyncio.Queue()  # an empty line is its end
        self._is_open = True

    async def read(self) -> str:
        """Waits for the next prompt; returns an empty text where none will come."""
        line = await self._pipe.get()
        return str(json.loads(line)["text"]) if line else ""

    def obey(self, message: Mapping[str, Any], link: "Link") -> None:
        """Does what a daemon says of turns and inputs."""
        asker = id(link)
        self._links[asker] = link
        match message["do"]:
            case "read":
                self.turns.read(asker, int(message["ended"]))
                self._settle()
            case "leave":
                self.turns.leave(asker)
                self._settle()
            case "close":
                self._take_close()
            case "input":
                self._take_input(asker, int(message["number"]), str(message["text"]).encode())

    def leave(self, link: "Link") -> None:
        """Notes that a daemon is gone."""
        self.turns.leave(id(link))
        self._clocks.watch_silence(self._now(), is_watched=self.turns.is_watched)

    def _take_input(self, asker: int, number: int, text: bytes) -> None:
        if self._inputs.is_next(number) and (reason := self.turns.refusal(self._inputs)):
            self._inputs.taken = number
            self._refuse(asker, number, reason)
            return
        applied = self._inputs.offer(number, text, asker)
        if applied is None:
            self._feed()
        else:
            self._answer(asker, number, applied=applied)

    def _take_close(self) -> None:
        if not self.turns.is_closed:
            self.turns.is_closed = True
            self._spool(CLOSED, self._inputs.taken)
            for asker, number in self._inputs.drop_queued():
                self._refuse(asker, number, INPUT_CLOSED)
            self._settle()

    def _settle(self) -> None:
        self._clocks.watch_silence(self._now(), is_watched=self.turns.is_watched)
        if self.turns.is_closed and not self.turns.is_in_turn:
            self._clocks.expect_exit(self._now())
        self._feed()

    def _feed(self) -> None:
        if self.turns.may_begin and (begun := self._inputs.begin()):
            self._spool(INPUT, *begun)
            self.turns.begun += 1
            self._clocks.begin_turn(self._now(), is_watched=self.turns.is_watched)
            self._pipe.put_nowait(begun[1].decode())
            if applied := self._inputs.take(len(begun[1])):
                self._spool(APPLIED, applied[1])
                self._answer(*applied, applied=True)
        elif self.turns.is_closed and self._is_open:
            self._is_open = False
            self._pipe.put_nowait("")
            for asker, number in self._inputs.close():
                self._refuse(asker, number, INPUT_CLOSED)

    def _refuse(self, asker: int, number: int, reason: str) -> None:
        self._spool(REFUSED, number, reason.encode())
        self._answer(asker, number, applied=False)

    def _spool(self, kind: int, number: int, text: bytes = b"") -> None:
        self._keep(kind, number.to_bytes(8, "little") + text)

    def _answer(self, asker: int, number: int, *, applied: bool) -> None:
        if link := self._links.get(asker):
            link.tell({"input": number, "applied": applied})
