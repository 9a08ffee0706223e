"""Passes on what streams ask of one agent: inputs, a close, its end. Streams note it at once; the attempt's task tells the shim.

So no stream ever waits for an agent. It has a `Change` of its own: the attempt's is notified with every word of the agent.
"""

from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from agenthost.attempt.process import AttemptProcess
from agenthost.core.ending import Cause
from agenthost.core.output.input_queue import Acceptance, InputQueue
from agenthost.errors import InputQueueFullError, InvalidRequestError, Violation
from agenthost.system.change import Change


class AttemptControl:
    """Holds the waiting inputs, and the requests to close its stdin and to end it."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._change = Change()
        self._log = log
        self._inputs = InputQueue()
        self._cancel_reason: str | None = None
        self._cancel_cause = Cause.CANCELLED
        self._is_closed = False

    def recall(self, last_input: int) -> None:
        """Goes on after the inputs that an earlier daemon passed on."""
        self._inputs = InputQueue(last_input)

    def offer_input(self, number: int, text: str) -> None:
        """Takes an input for the agent; raises when it is out of order, or when the agent has too many to read."""
        match self._inputs.offer(number, text):
            case Acceptance.OUT_OF_ORDER:
                expected = f"must be {self._inputs.next_number}, the next of this execution"
                raise InvalidRequestError(Violation("input.input_sequence", expected))
            case Acceptance.FULL:
                raise InputQueueFullError
            case Acceptance.TAKEN | Acceptance.KNOWN:
                self._change.notify()

    def cancel(self, reason: str, cause: Cause) -> None:
        """Asks for the agent's end; the first reason counts."""
        if self._cancel_reason is None:
            self._cancel_reason, self._cancel_cause = reason, cause
            self._log.info("cancel_requested", reason=reason[:200], cause=cause)
            self._change.notify()

    def close_input(self) -> None:
        """Asks for the end of the agent's stdin. Repeating it is harmless."""
        if not self._is_closed:
            self._is_closed = True
            self._log.info("close_requested")
            self._change.notify()

    async def pass_inputs(
        self, process: AttemptProcess, line_of: Callable[[str], str], begin_turn: Callable[[], Awaitable[None]]
    ) -> None:
        """Passes one input after the other to the agent, as lines, until it is cancelled; `begin_turn` is told before each."""
        while True:
            changed = self._change.subscribe()
            if waiting := self._inputs.first():
                await begin_turn()
                if not await process.give_input(waiting.number, line_of(waiting.text)):
                    self._log.warning("input_dropped", number=waiting.number)
                self._inputs.applied()
            else:
                await changed.wait()

    async def pass_close(self, process: AttemptProcess) -> None:
        """Waits for the request to close the agent's stdin, and tells the shim."""
        while not self._is_closed:
            await self._change.subscribe().wait()
        await process.close_input()

    async def pass_cancel(self, process: AttemptProcess) -> None:
        """Waits for the request to end the agent, and tells the shim."""
        while self._cancel_reason is None:
            await self._change.subscribe().wait()
        await process.cancel(self._cancel_reason, self._cancel_cause)
