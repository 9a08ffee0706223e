"""What the conductor still has to tell about one attempt: a place to put commands into, which never makes anybody wait.

It holds at most one command of each kind, so it is bounded whatever happens: a newer Ack takes the place of an older one (a
number says all that numbers below it said), and a Cancel stays the first one asked for. It is taken from in the order in
which a stream must be spoken: the opening (Start or Resume), then Cancel, which overtakes, then Ack.

It does not send and does not know streams: a link takes from it, and calls `rewind` after a connection broke, because what
was written then may never have arrived. Everything in it may be told twice without harm.
"""

import asyncio

from conductor.core.decide.conversation import ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, ResumeExecution, StartExecution


class Mailbox:
    """The commands of one attempt that wait to be told."""

    def __init__(self) -> None:
        self._opening: StartExecution | ResumeExecution | None = None
        self._cancel: CancelExecution | None = None
        self._ack: AckExecution | None = None
        self._untold: set[str] = set()
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
        """Waits for the next command to tell, and takes it."""
        while (command := self.take_now()) is None:
            self._filled.clear()
            await self._filled.wait()
        return command

    def take_now(self) -> ExecutionCommand | None:
        """Takes the next command to tell, if there is one."""
        for kind, command in (("opening", self._opening), ("cancel", self._cancel), ("ack", self._ack)):
            if kind in self._untold:
                self._untold.discard(kind)
                return command
        return None

    def rewind(self) -> None:
        """Makes Cancel and Ack untold again. The opening is the link's: after a `started` it resumes and does not start."""
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
        self._untold.add(kind)
        self._filled.set()
