"""The commands of one attempt that its host has not received yet. Putting one in never waits.

It holds at most one command of each kind, so it is bounded: a newer Ack replaces an older one, since its number includes the lower
ones, the first Cancel stays, and an input is sent only after the turn that the one before it began. Commands are taken in the order
in which a stream needs them: the opening (Start or Resume), then Cancel, which overtakes, then an input, the close, and Ack.

It neither sends nor knows streams: a stream takes from it, and calls `rewind` after a connection broke, because frames that were
written then may never have arrived. Every command in it may be sent twice without harm.
"""

import asyncio

from conductor.core.conversation import ExecutionCommand
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    CloseExecution,
    ResumeExecution,
    SendInput,
    StartExecution,
)


class Mailbox:
    """Keeps the commands of one attempt that wait to be sent."""

    def __init__(self) -> None:
        self._opening: StartExecution | ResumeExecution | None = None
        self._cancel: CancelExecution | None = None
        self._input: SendInput | None = None
        self._close: CloseExecution | None = None
        self._ack: AckExecution | None = None
        self._unsent: set[str] = set()
        self._filled = asyncio.Event()

    def put(self, command: ExecutionCommand) -> None:
        """Takes a command; never waits, never refuses."""
        match command:
            case StartExecution() | ResumeExecution():
                self._opening = command
                self._mark("opening")
            case CancelExecution():
                self._cancel = self._cancel or command
                self._mark("cancel")
            case SendInput():
                self._input = command
                self._mark("input")
            case CloseExecution():
                self._input, self._close = None, command
                self._mark("close")
            case AckExecution():
                self._put_ack(command)

    async def take(self) -> ExecutionCommand:
        """Waits for the next command to send, and takes it."""
        while (command := self.take_now()) is None:
            self._filled.clear()
            await self._filled.wait()
        return command

    def take_now(self) -> ExecutionCommand | None:
        """Takes the next command to send, if there is one."""
        in_order: tuple[tuple[str, ExecutionCommand | None], ...] = (
            ("opening", self._opening),
            ("cancel", self._cancel),
            ("input", self._input),
            ("close", self._close),
            ("ack", self._ack),
        )
        for kind, command in in_order:
            if kind in self._unsent:
                self._unsent.discard(kind)
                if command is not None:
                    return command
        return None

    def forget_input(self, number: int) -> None:
        """Forgets an input that the host has answered."""
        if self._input is not None and self._input.number <= number:
            self._input = None

    def rewind(self) -> None:
        """Has all but the opening sent again. The stream makes its own opening: after `started` it resumes and does not start."""
        for kind, command in (
            ("cancel", self._cancel),
            ("input", self._input),
            ("close", self._close),
            ("ack", self._ack),
        ):
            if command is not None:
                self._mark(kind)

    def _put_ack(self, ack: AckExecution) -> None:
        older = self._ack
        if older is None or (ack.sequence, ack.finished) > (older.sequence, older.finished):
            self._ack = ack
            self._mark("ack")

    def _mark(self, kind: str) -> None:
        self._unsent.add(kind)
        self._filled.set()
