"""The daemon's side of a shim: spawns one for an attempt, or attaches to one that lives, and hears and tells it things.

Nothing here owns the agent: an AttemptProcess may be closed at any time, and another attached to the same folder.
It needs no task of its own: the event loop calls it when the shim says something.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from agenthost import process
from agenthost.attempt_status import Confinement, Status, read_release, read_status
from agenthost.core.damage import DamagedError
from agenthost.core.ending import Cause
from agenthost.errors import PreconditionError
from agenthost.eviction import hold
from agenthost.launch import Launch, prepare
from agenthost.sandbox import Sandbox
from agenthost.socket_path import short_path

__all__ = ["AttemptProcess", "Confinement", "Launch", "Status", "is_alive"]

PYTHON = Path(sys.executable).resolve()  # without the detour through a virtual environment
SHIM = Path(__file__).parent / "shim" / "__main__.py"
BACKLOG = 8
RETRY_SECONDS = 0.05
MAX_LINE_BYTES = 64 * 1024
STRAY_SECONDS = 2.0


class AttemptProcess:
    """An attempt's shim, seen from the daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self.fault = ""  # why nothing of its output can be told, where that is so
        self.lost_because = ""  # of a status that is there but cannot be read
        self._told_size = 0
        self._spool = self._open_spool()
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._applied: dict[int, asyncio.Future[bool]] = {}
        self._heard = b""
        self._link: socket.socket | None = None
        self._status: Status | None = None
        self._is_lost = False
        self._is_closed = False

    @classmethod
    async def spawn(cls, folder: Path, launch: Launch, sandbox: Sandbox) -> Self:
        """Starts an attempt in a folder that holds none yet: a folder serves once, whatever becomes of the attempt.

        Returns as soon as the shim runs; whether the sandbox could be set up is told by the status.
        """
        await asyncio.to_thread(prepare, folder, launch, sandbox)
        with _descriptors(folder, launch) as descriptors:
            # From the loop's thread, as all programs: parent-death signals follow threads.
            pid = process.spawn_apart(PYTHON, "-I", "-S", SHIM, folder, descriptors=descriptors)
        _reap_later(asyncio.get_running_loop(), pid)
        return cls.attach(folder)

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """Attaches to an attempt that was started before, by whomever, and lives, ended or is lost."""
        attempt = cls(folder)
        attempt._look()
        return attempt

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the shim. The attempt goes on."""
        self._hang_up()
        if not self._is_closed and self._spool >= 0:
            os.close(self._spool)
        self._is_closed = True
        self._wake()

    @property
    def alive(self) -> bool:
        """Whether the shim still keeps the attempt."""
        return not self.has_ended

    @property
    def is_lost(self) -> bool:
        """Whether the shim is gone without having written an end; the agent went with it."""
        return self._is_lost

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come: there is a status, or the attempt is lost."""
        return self._is_lost or self._status is not None

    def status(self) -> Status | None:
        """How the attempt ended; None while it runs, and when it is lost."""
        return self._status

    def spool_size(self) -> int:
        """How long the spool is now, or must be: as its shim told. The last record may be incomplete until the attempt ended."""
        if self._status or self._spool < 0:
            return self._status.spool_length if self._status else 0
        return max(os.fstat(self._spool).st_size, self._told_size)

    def read_spool(self, offset: int, limit: int) -> bytes:
        """Bytes of the spool, records and all."""
        if self._spool < 0:
            return b""
        return os.pread(self._spool, min(limit, max(0, self.spool_size() - offset)), offset)

    def _open_spool(self) -> int:
        try:
            descriptor = os.open(self._folder / "spool", os.O_RDONLY | os.O_CLOEXEC)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
        except OSError as error:
            self.fault = f"spool: {error.strerror}"
        self.fault = self.fault or "spool: it is no file"
        return -1

    async def wait_started(self) -> Confinement | None:
        """Waits until the agent was let go, and tells how it is confined; None when it ended without, or where that is damaged."""
        while True:
            # In this order: what ended after it was released was released.
            is_over, has_said = self.has_ended or self._is_closed, self.spool_size() > 0
            try:
                if confinement := read_release(self._folder):
                    return confinement
            except DamagedError as error:
                self.fault = str(error)
            else:
                self.fault = self.fault or ("released.json: it is not there" if has_said else "")
            if is_over or self.fault:
                return None
            await self._news.wait()

    async def ended(self) -> None:
        """Waits until nothing more will come, or this object is closed."""
        while not (self.has_ended or self._is_closed):
            await self._news.wait()

    async def changed(self, seen_size: int = -1) -> None:
        """Waits until the spool is longer than what was seen, or the attempt ended, or this object is closed."""
        while not (self.has_ended or self._is_closed or self.spool_size() > seen_size):
            await self._news.wait()

    async def renew_lease(self) -> None:
        """Puts off the end for want of a conductor by the whole orphan timeout."""
        await self._tell({"do": "renew"})

    async def cancel(self, reason: str, cause: Cause = Cause.CANCELLED) -> None:
        """Ends the agent: polite signal, grace, kill. Returns when the shim was told; the end is told by the status."""
        await self._tell({"do": "cancel", "reason": reason, "cause": cause})

    async def give_input(self, number: int, text: str) -> bool:
        """Gives the agent a message, as it is, and waits until its stdin has taken all of it.

        False when it never will: stdin is closed, the number leaves a gap, too much waits already, or the attempt ended.
        Numbers begin with 1; one that was applied is not applied again.
        """
        applied = self._applied.setdefault(number, self._loop.create_future())
        if not await self._tell({"do": "input", "number": number, "text": text}):
            self._settle_inputs()
        return await asyncio.shield(applied)

    async def _tell(self, message: Mapping[str, object]) -> bool:
        line = json.dumps(message).encode() + b"\n"
        async with self._sending:
            while not self.has_ended and not self._is_closed:
                if self._link is None:
                    await self._news.wait()
                    continue
                try:
                    await self._loop.sock_sendall(self._link, line)
                except OSError:
                    self._hang_up()
                    self._look()
                else:
                    return True
        return False

    def _look(self) -> None:
        """Finds out how things are when nobody tells: ended, lost, or to be (re)connected."""
        if self._is_closed or self.has_ended or self._link is not None:
            return
        self._status = self._read_status()
        if self._status is None and not is_alive(self._folder):
            # It may have ended between the two looks.
            self._status = self._read_status()
            self._is_lost = self._status is None
        if self.has_ended:
            self._settle_inputs()
        else:
            self._connect()
        self._wake()

    def _read_status(self) -> Status | None:
        try:
            return read_status(self._folder)
        except DamagedError as error:
            self.lost_because = str(error)
            return None

    def _connect(self) -> None:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(0)
        try:
            with short_path(self._folder, "control.sock") as path:
                link.connect(path)
        except OSError:
            # The shim is on its way out, or too busy to let anybody in.
            link.close()
            self._loop.call_later(RETRY_SECONDS, self._look)
            return
        self._link, self._heard = link, b""
        self._loop.add_reader(link, self._hear)

    def _hear(self) -> None:
        if self._link is None:
            return
        try:
            data = self._link.recv(MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            self._look()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self._told_size = max(self._told_size, message.get("size", 0))
            if "input" in message and (applied := self._applied.pop(message["input"], None)):
                applied.set_result(message["applied"])
        self._wake()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._loop.remove_reader(self._link)
            self._link.close()
            self._link = None

    def _settle_inputs(self) -> None:
        for applied in self._applied.values():
            applied.set_result(False)
        self._applied.clear()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def is_alive(folder: Path) -> bool:
    """Whether a shim keeps this attempt: whether its lock is held."""
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):  # or somebody's file: no shim made it
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def end_stray(folder: Path) -> None:
    """Tells the shim of a folder to end its agent, whoever it belonged to. Blocking, within bounds."""
    line = json.dumps({"do": "cancel", "reason": "nobody can ask for it any more"}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link, short_path(folder, "control.sock") as path:
        link.settimeout(STRAY_SECONDS)
        link.connect(path)
        link.sendall(line)
        # Until it has heard: a shim hangs up, with our words unread, on whoever cannot be told anything any more.
        link.shutdown(socket.SHUT_WR)
        while link.recv(MAX_LINE_BYTES):
            pass


@contextlib.contextmanager
def _descriptors(folder: Path, launch: Launch) -> Iterator[dict[int, int]]:
    """What a shim inherits. Locked and listening before it is born: so there is no moment in which it cannot be seen."""
    with contextlib.ExitStack() as stack:
        opened = {
            0: os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC),
            2: os.open(folder / "shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600),
            3: os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600),
            5: _hold(launch.held) if launch.held else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC),
        }
        for fd in opened.values():
            stack.callback(os.close, fd)
        fcntl.flock(opened[3], fcntl.LOCK_EX | fcntl.LOCK_NB)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with short_path(folder, "control.sock") as path:
            listener.bind(path)
        listener.listen(BACKLOG)
        yield opened | {1: opened[2], 4: listener.fileno()}


def _hold(snapshot: Path) -> int:
    try:
        return hold(snapshot)
    except OSError as error:
        raise PreconditionError(
            "SNAPSHOT_MISSING", "the snapshot was on its way out; nothing ran", hint="push it again"
        ) from error


def _reap_later(loop: asyncio.AbstractEventLoop, pid: int) -> None:
    """Takes a shim's exit code when it ends, so that no zombie stays."""
    pidfd = os.pidfd_open(pid)

    def reap() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    loop.add_reader(pidfd, reap)
