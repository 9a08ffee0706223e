"""The commands of one attempt that its host has not received yet. Putting one in never waits.

It holds at most one command of each kind, so it is bounded: a newer Ack replaces an older one, since its number includes the lower
ones, and the first Cancel stays. Commands are taken in the order in which a stream needs them: the opening (Start or Resume), then
Cancel, which overtakes, then Ack.

It neither sends nor knows streams: a stream takes from it, and calls `rewind` after a connection broke, because frames that were
written then may never have arrived. Every command in it may be sent twice without harm.
"""

import asyncio

from conductor.core.conversation import ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, ResumeExecution, StartExecution


class Mailbox:
    """Keeps the commands of one attempt that wait to be sent."""

    def __init__(self) -> None:
        self._opening: StartExecution | ResumeExecution | None = None
        self._cancel: CancelExecution | None = None
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
        for kind, command in (("opening", self._opening), ("cancel", self._cancel), ("ack", self._ack)):
            if kind in self._unsent:
                self._unsent.discard(kind)
                return command
        return None

    def rewind(self) -> None:
        """Has Cancel and Ack sent again. The stream makes its own opening: after `started` it resumes and does not start."""
        if self._cancel is not None:
            self._mark("cancel")
        if self._ack is not None:
            self._mark("ack")

    def _put_ack(self, ack: AckExecution) -> None:
        older = self._ack
        if older is None or (ack.sequence, ack.finished) > (older.sequence, older.finished):
            self._ack = ack
            self._mark("ack")

    def _mark(self, kind: str) -> None:
        self._unsent.add(kind)
        self._filled.set()
