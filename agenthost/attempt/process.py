"""Controls a shim from the daemon: spawns one or attaches to a living one, and exchanges messages with it.

It does not own the agent: an AttemptProcess may be closed at any time, and another attached to the same folder.
"""

import asyncio
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from agenthost.attempt.launch import Launch, prepare
from agenthost.attempt.records import Status, read_release, read_status
from agenthost.attempt.shims import SHIMS, Shims
from agenthost.core.damage import DamagedError, is_shortage
from agenthost.core.ending import Cause, Ending
from agenthost.core.output.frame import Attestation
from agenthost.sandbox.find import Sandbox
from agenthost.system.change import Change

RETRY_SECONDS = 0.05


class AttemptProcess:
    """An attempt's shim, seen from the daemon. `change` tells of all news, and of a longer spool; its user may replace it."""

    def __init__(self, folder: Path, shims: Shims = SHIMS) -> None:
        self.change = Change()
        self._folder = folder
        self._shims = shims
        self._loop = asyncio.get_running_loop()
        self.fault = ""  # why its output cannot be sent; empty where it can
        self.lost_because = ""  # why its status cannot be read
        self._reported_size = 0
        self._spool = -1
        self._news = Change()
        self._sending = asyncio.Lock()
        self._applied: dict[int, asyncio.Future[bool]] = {}
        self._link = shims.link(folder, on_messages=self._take, on_end=self._look)
        self._status: Status | None = None
        self._is_lost = False
        self._is_closed = False
        self._is_silent = True

    @classmethod
    async def spawn(cls, folder: Path, launch: Launch, sandbox: Sandbox, shims: Shims = SHIMS) -> Self:
        """Starts an attempt in a folder that holds none yet: a folder serves once, however the attempt ends.

        Returns as soon as the shim runs; the status tells whether the sandbox could be set up.
        """
        await asyncio.to_thread(prepare, folder, launch, sandbox)
        shims.start(folder, launch)
        return cls.attach(folder, shims)

    @classmethod
    def attach(cls, folder: Path, shims: Shims = SHIMS) -> Self:
        """Attaches to an attempt that was started before, and lives, has ended or is lost."""
        attempt = cls(folder, shims)
        attempt._look()
        return attempt

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the link to the shim. The attempt goes on."""
        self._link.hang_up()
        if not self._is_closed and self._spool >= 0:
            os.close(self._spool)
        self._is_closed = True
        self._wake()

    @property
    def is_lost(self) -> bool:
        """Returns whether the shim is gone without having written an end; the agent went with it."""
        return self._is_lost

    @property
    def has_ended(self) -> bool:
        """Returns whether nothing more will come: there is a status, or the attempt is lost."""
        return self._is_lost or self._status is not None

    def status(self) -> Status | None:
        """Returns how the attempt ended; None while it runs, and when it is lost."""
        return self._status

    def ending(self, violation: str) -> Ending:
        """Returns the end of an attempt that has ended. `violation` is how its snapshot changed, empty where it did not."""
        if self._status is None:
            cause = Cause.FILES_DAMAGED if self.lost_because else Cause.SHIM_LOST
            return Ending(cause, detail=violation or self.lost_because, snapshot_changed=bool(violation))
        end, detail = self._status, violation or self._status.message
        return Ending(Cause(end.cause), end.exit_code, end.signal, detail, end.elapsed_seconds, bool(violation))

    def spool_size(self) -> int:
        """Returns how long the spool is, or must be by the shim's word. Its last record may be incomplete before the end."""
        if self._status:
            return self._status.spool_length
        try:
            spool = self._open_spool()
        except OSError:
            return self._reported_size
        return 0 if spool < 0 else max(os.fstat(spool).st_size, self._reported_size)

    def read_spool(self, offset: int, limit: int) -> bytes:
        """Returns bytes of the spool, records and all. Raises OSError when descriptors run short: ask again later."""
        if (spool := self._open_spool()) < 0:
            return b""
        most = limit if self._status is None else min(limit, max(0, self._status.spool_length - offset))
        return os.pread(spool, most, offset)

    def _open_spool(self) -> int:
        """Returns the spool's descriptor, -1 where it is at fault. It is opened with the first use, and kept."""
        if self._spool >= 0 or self.fault or self._is_closed:
            return self._spool
        try:
            descriptor = os.open(self._folder / "spool", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if is_shortage(error):
                raise
            self.fault = f"spool: {error.strerror}"
            return -1
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._spool = descriptor
        else:
            os.close(descriptor)
            self.fault = "spool: it is not a file"
        return self._spool

    async def wait_started(self) -> Attestation | None:
        """Waits until the agent was released; returns how it is confined, None when it ended before or the record is damaged."""
        while True:
            # In this order: what ended after it was released was released.
            is_over, has_output = self.has_ended or self._is_closed, self.spool_size() > 0
            try:
                if attestation := read_release(self._folder):
                    return attestation
            except DamagedError as error:
                self.fault = str(error)
            except OSError:  # short of descriptors: the release is there all the same
                await asyncio.sleep(RETRY_SECONDS)
                continue
            else:
                self.fault = self.fault or ("released.json: it is missing" if has_output else "")
            if is_over or self.fault:
                return None
            await self._news.subscribe().wait()

    async def ended(self) -> None:
        """Waits until nothing more will come, or this object is closed."""
        while not (self.has_ended or self._is_closed):
            await self._news.subscribe().wait()

    async def renew_lease(self) -> None:
        """Grants the attempt another whole orphan timeout."""
        await self._send({"do": "renew"})

    async def tell_turns(self, ended: int | None) -> None:
        """Tells the shim how many turns have ended by now; None where the output is not read at the moment."""
        await self._send({"do": "leave"} if ended is None else {"do": "read", "ended": ended})

    async def close_input(self) -> None:
        """Ends the agent's stdin, once it has read what was begun; only where turns were asked for."""
        await self._send({"do": "close"})

    async def cancel(self, reason: str, cause: Cause = Cause.CANCELLED) -> None:
        """Ends the agent: polite signal, grace, kill. Returns when the shim has the request; the status reports the end."""
        await self._send({"do": "cancel", "reason": reason, "cause": cause})

    async def give_input(self, number: int, text: str) -> bool:
        """Passes a message to the agent as it is, and waits until its stdin has taken all of it.

        Returns False when it never will: stdin is closed, the number leaves a gap, too many inputs wait, or the attempt ended.
        Numbers begin with 1; one that was applied is not applied again.
        """
        applied = self._applied.setdefault(number, self._loop.create_future())
        if not await self._send({"do": "input", "number": number, "text": text}):
            self._settle_inputs()
        return await asyncio.shield(applied)

    async def _send(self, message: Mapping[str, object]) -> bool:
        async with self._sending:
            while not self.has_ended and not self._is_closed:
                if not self._link.is_open:
                    await self._news.subscribe().wait()
                    continue
                try:
                    await self._link.send(message)
                except OSError:
                    self._link.hang_up()
                    self._look()
                else:
                    return True
        return False

    def _look(self) -> None:
        """Finds out whether the attempt has ended or is lost, or connects (again) to its shim."""
        if self._is_closed or self.has_ended or self._link.is_open:
            return
        try:
            self._find_out()
        except OSError:  # short of descriptors: nothing was learned
            self._loop.call_later(RETRY_SECONDS, self._look)
        else:
            self._wake()

    def _find_out(self) -> None:
        self._status = self._read_status()
        if self._status is None and not self._shims.is_alive(self._folder):
            # It may have ended between the two reads.
            self._status = self._read_status()
            self._is_lost = self._status is None
        if self.has_ended:
            self._settle_inputs()
        elif self._link.connect():
            self._is_silent = True
        else:
            self._loop.call_later(RETRY_SECONDS, self._look)

    def _read_status(self) -> Status | None:
        try:
            return read_status(self._folder)
        except DamagedError as error:
            self.lost_because = str(error)
            return None

    def _take(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Takes the shim's messages. The first one is news, since it comes when the agent was released; a longer spool is not."""
        for message in messages:
            self._reported_size = max(self._reported_size, message.get("size", 0))
            if "input" in message and (applied := self._applied.pop(message["input"], None)):
                applied.set_result(message["applied"])
        if self._is_silent:
            self._is_silent = False
            self._wake()
        else:
            self.change.notify()

    def _settle_inputs(self) -> None:
        for applied in self._applied.values():
            applied.set_result(False)
        self._applied.clear()

    def _wake(self) -> None:
        self._news.notify()
        self.change.notify()
