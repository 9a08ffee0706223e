"""Starts trusted programs for both services. No other module does, but the shim.

`run` is for short programs whose output fits in memory, `start` for those that are fed or read piece by piece. Agents are not
started here (the shim does that, in a sandbox). No resource limits are set (workers limit themselves), and exit codes are not
judged: the caller knows what they mean. A program that was killed from outside, and a lack of descriptors or memory, say nothing
of its work: both have an error of their own, so that the caller may try again.

Every program gets a session of its own, so that its children end with it; a written-out environment, because this process holds
keys that are not for others; a wall limit and an output limit. Programs start from the event loop's thread: the kernel's
parent-death signal follows the thread, not the process.

The input of `run`, and every program's stderr, are files in memory rather than pipes: then there is only one pipe to look after,
and no order of reading and writing can lock up.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from servicekit.errors import ProgramError, ProgramUnavailableError

PLAIN_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
}
CHUNK_BYTES = 256 * 1024
MAX_STDERR_BYTES = 64 * 1024
# So that git removes its lock files.
ASK_WAIT_SECONDS = 1.0
KILL_WAIT_SECONDS = 5.0

# Signals of other processes, or of the kernel without memory. A program that fails by itself ends by other signals.
FROM_OTHERS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM})
# Resources that this process, or the machine, lacks for a moment.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of a program, and its output. `returncode` is negative for a signal."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """The end of its stderr, as text for a message."""
        return self.stderr[-2000:].decode(errors="replace").strip()

    def refuse_killed(self, name: str) -> None:
        """Raises ProgramUnavailableError where it was killed from outside, which says nothing of its work."""
        if -self.returncode in FROM_OTHERS:
            raise ProgramUnavailableError(f"{name} was ended from outside by signal {-self.returncode}; try again")


class Running:
    """A program at work: feed it, read it, and `finish` it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, complaints: BinaryIO) -> None:
        self._name = name
        self._process = process
        self._complaints = complaints

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def processor_seconds(self) -> float:
        """Returns the processor time that it has had so far."""
        # The number of its processor clock, as clock_getcpuclockid(3) makes it. To read /proc takes fifty times as long.
        return time.clock_gettime(~self.pid << 3 | 2)

    def feed(self, data: bytes) -> None:
        """Writes to its stdin without waiting until it has read; the caller bounds the amount."""
        if self._process.stdin is not None:
            self._process.stdin.write(data)

    async def write(self, data: bytes) -> None:
        """Writes to its stdin, and waits while it is slow. Silent when it reads no more: its exit code will tell."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._process.stdin.write(data)
                await self._process.stdin.drain()

    def close_stdin(self) -> None:
        """Closes its stdin."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def read(self, limit: int = CHUNK_BYTES) -> bytes:
        """Returns the next bytes of its output; empty at the end."""
        return await self._stdout.read(limit)

    async def read_exactly(self, size: int) -> bytes:
        """Returns exactly so many bytes of its output."""
        try:
            return await self._stdout.readexactly(size)
        except asyncio.IncompleteReadError as error:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KILL_WAIT_SECONDS):
                    Completed(await self._process.wait(), b"", b"").refuse_killed(self._name)
            raise ProgramError(f"{self._name} ended in the middle of its answer") from error

    async def read_line(self) -> bytes:
        """Returns the next line with its end; empty at the end. At most `CHUNK_BYTES`."""
        try:
            return await self._stdout.readline()
        except ValueError as error:
            raise ProgramError(f"{self._name} wrote a line of more than {CHUNK_BYTES} bytes") from error

    async def finish(self) -> Completed:
        """Closes its stdin, drops the rest of its output, and waits for its end."""
        self.close_stdin()
        while await self.read():
            pass
        returncode = await self._process.wait()
        # The program wrote through this very file description, so the position tells how much it said.
        size = self._complaints.seek(0, os.SEEK_CUR)
        return Completed(returncode, b"", os.pread(self._complaints.fileno(), size, 0))

    @property
    def _stdout(self) -> asyncio.StreamReader:
        if self._process.stdout is None:
            raise ProgramError(f"{self._name} was started without a pipe for its output")
        return self._process.stdout


@contextlib.asynccontextmanager
async def start(
    program: str | Path,
    *args: str | Path,
    stdin: BinaryIO | None = None,
    env: Mapping[str, str] = PLAIN_ENVIRONMENT,
    cwd: Path | None = None,
    timeout_seconds: float | None,
) -> AsyncIterator[Running]:
    """Starts a program; without a file for `stdin` it is fed by `write`. Leaving the block ends it and its children.

    Only workers that live as long as the service have no timeout: their owner bounds each request instead.
    """
    with contextlib.ExitStack() as stack:
        try:
            complaints = stack.enter_context(memory_file("complaints", max_bytes=MAX_STDERR_BYTES))
            process = await asyncio.create_subprocess_exec(
                program,
                *args,
                stdin=stdin or asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=complaints,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                limit=CHUNK_BYTES,
            )
        except OSError as error:
            raise _not_started(program, error) from error
        try:
            async with asyncio.timeout(timeout_seconds):
                yield Running(Path(program).name, process, complaints)
        except TimeoutError as error:
            raise ProgramError(f"{Path(program).name} did not end within {timeout_seconds:g} s") from error
        finally:
            await asyncio.shield(_end(process))


async def run(
    program: str | Path,
    *args: str | Path,
    stdin: bytes = b"",
    env: Mapping[str, str] = PLAIN_ENVIRONMENT,
    cwd: Path | None = None,
    timeout_seconds: float,
    max_output_bytes: int,
) -> Completed:
    """Runs a program to its end. ProgramError: it cannot start, takes too long or writes too much."""
    with memory_file("input", stdin) as feed:
        async with start(program, *args, stdin=feed, env=env, cwd=cwd, timeout_seconds=timeout_seconds) as running:
            output = bytearray()
            while chunk := await running.read():
                output += chunk
                if len(output) > max_output_bytes:
                    raise ProgramError(f"{Path(program).name} wrote more than {max_output_bytes} bytes")
            completed = await running.finish()
    return Completed(completed.returncode, bytes(output), completed.stderr)


@contextlib.contextmanager
def memory_file(name: str, content: bytes = b"", *, max_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Opens a file in memory; writing past its limit fails, which programs ignore for their stderr."""
    try:
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise _not_started("a program", error) from error
    with open(descriptor, "w+b", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        if max_bytes is not None:
            os.ftruncate(descriptor, max_bytes)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        file.write(content)
        file.seek(0)
        yield file


def _not_started(program: str | Path, error: OSError) -> ProgramError:
    kind = ProgramUnavailableError if error.errno in SHORTAGES else ProgramError
    return kind(f"cannot start {program}: {error.strerror}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the rest of a program. Asks first: a killed git leaves its lock files, which stop every later git."""
    if process.stdin is not None:
        process.stdin.close()
    await _signal(process, signal.SIGTERM, ASK_WAIT_SECONDS)
    await _signal(process, signal.SIGKILL, KILL_WAIT_SECONDS)


async def _signal(process: asyncio.subprocess.Process, number: signal.Signals, wait_seconds: float) -> None:
    """Signals its group, which is only ours to signal while its leader is not reaped."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    # Unread output would keep the pipe, and with it the transport, open.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_seconds):
            while process.stdout is not None and await process.stdout.read(CHUNK_BYTES):
                pass
            await process.wait()
