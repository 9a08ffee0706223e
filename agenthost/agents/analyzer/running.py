"""Runs the tool over a batch of files, and yields its results while it writes them.

A batch that fails loses itself only: what it said before stays. Time is bounded over all batches; memory by the sandbox, and by
reading the output in pieces.
"""

import contextlib
import errno
import os
import re
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from .settings import FILES, RESULT, Settings

MAX_ARGUMENT_BYTES = 1024 * 1024  # of a batch's paths; the kernel takes 2 MiB with the environment
MAX_OUTPUT_BYTES = 4 * 1024**3
MAX_LINE_BYTES = 4096
MAX_DATA_BYTES = 1280 * 1024**2  # of the tool alone: an attempt that takes too much is ended, with what it had found
MIN_TURN_SECONDS = 10.0
MAX_SKIPPED = 10_000
LATE = "it was ended after {seconds:g} s"
TOO_LONG = f"its output has more than {MAX_OUTPUT_BYTES:,} bytes"


def batches(paths: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    """Yields the paths in order, as many together as a command line takes."""
    batch: list[str] = []
    size = 0
    for path in paths:
        needed = len(os.fsencode(path)) + 1
        if batch and (size + needed > MAX_ARGUMENT_BYTES or len(batch) == most):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(path)
        size += needed
    if batch:
        yield tuple(batch)


class Clock:
    """The time that all batches have together."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Returns the seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    @property
    def complaint(self) -> str:
        """Returns why nothing more is read, where the time is over."""
        return "" if self.left else LATE.format(seconds=self._seconds)

    def turn(self) -> "Clock":
        """Returns the time of one batch: half of what is left, so that no file takes the time of all others."""
        return Clock(max(round(max(self.left / 2, min(self.left, MIN_TURN_SECONDS)), 1), 0.1))


class Run:
    """The tool, started for a batch. Use it as a context: leaving ends it. Read its output with `read`."""

    def __init__(self, settings: Settings, files: Sequence[str], work: Path, clock: Clock) -> None:
        self._settings, self._clock = settings, clock.turn() if files else clock
        self._result = work / "result"
        self._words = _Words(settings.skipped)
        self._room = MAX_OUTPUT_BYTES
        self._output: IO[bytes] | None = None
        self.complaint = ""  # why its output is not whole
        self._process = subprocess.Popen(
            _bounded(_command(settings.argv, files, self._result)),
            cwd=work,
            env=_environment(work),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if settings.result == "stdout" else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._timer = threading.Timer(self._clock.left, self._kill)
        self._timer.daemon = True
        self._timer.start()
        self._listener = threading.Thread(target=self._words.listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._kill()
        self._end()

    def read(self, size: int) -> bytes:
        """Returns the next bytes of the tool's output; none at its end, or when time or room are over."""
        if self._output is None:
            self._output = self._opened()
        if self._output is None or self.complaint:
            return b""
        if not self._clock.left or self._room <= 0:
            self.complaint = self._clock.complaint or TOO_LONG
            return b""
        # A process that left the tool's group may hold the pipe open after the tool was ended.
        if not select.select([self._output], [], [], self._clock.left)[0]:
            self.complaint = self._clock.complaint or TOO_LONG
            return b""
        data = os.read(self._output.fileno(), size)
        self._room -= len(data)
        return data

    def finish(self) -> str:
        """Waits for the tool's end; returns why the batch cannot be relied on, nothing where it can."""
        if self._output is not None:
            while not self.complaint and self.read(1024 * 1024):  # what follows the result
                continue
        if self.complaint:
            self._kill()
        code = self._end()
        if self.complaint or self._clock.complaint:
            return self.complaint or self._clock.complaint
        if code in self._settings.ok_exit:
            return ""
        how = f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        return f"{how}: {self.last_words}" if self.last_words else how

    @property
    def last_words(self) -> str:
        """Returns the last line that the tool wrote to stderr."""
        return self._words.last

    @property
    def skipped(self) -> tuple[str, ...]:
        """Returns the paths that it said it passed over."""
        return tuple(self._words.skipped)

    def _opened(self) -> IO[bytes] | None:
        if self._settings.result == "stdout":
            return self._process.stdout
        self._process.wait()
        try:
            descriptor = os.open(self._result, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.complaint = f"it wrote no result: {error.strerror}"
            return None
        return os.fdopen(descriptor, "rb", buffering=0)

    def _kill(self) -> None:
        """Ends the tool, and what it started: that would hold its output open."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self) -> int:
        code = self._process.wait()
        self._timer.cancel()
        self._listener.join(1.0)
        for stream in (self._output, self._process.stdout):
            if stream is not None:
                stream.close()
        with contextlib.suppress(OSError):
            self._result.unlink()
        return code


class _Words:
    """Reads stderr: keeps the last line, and what the pattern finds in each."""

    def __init__(self, pattern: re.Pattern[str] | None) -> None:
        self._pattern = pattern
        self.last = ""
        self.skipped: list[str] = []

    def listen(self, stream: IO[bytes]) -> None:
        """Reads to the end, and closes the stream. Of a line that is too long the beginning counts."""
        with contextlib.suppress(OSError, ValueError), stream:
            is_new = True
            while line := stream.readline(MAX_LINE_BYTES):
                if is_new:
                    self._hear(line.decode(errors="replace").strip())
                is_new = line.endswith(b"\n")

    def _hear(self, line: str) -> None:
        if not line:
            return
        self.last = line[:300]
        match = self._pattern.search(line) if self._pattern else None
        if match and len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(match["path"] or "")


def _bounded(command: Sequence[str]) -> list[str]:
    """Returns a command that has its limit of memory before its first step: the tool is to fail, rather than the attempt."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return ["/bin/sh", "-c", f'ulimit -d {MAX_DATA_BYTES // 1024} && exec "$0" "$@"', *command]


def _command(argv: Sequence[str], files: Sequence[str], result: Path) -> list[str]:
    given: Mapping[str, Sequence[str]] = {FILES: files, RESULT: [str(result)]}
    return [one for argument in argv for one in given.get(argument, [argument])]


def _environment(work: Path) -> dict[str, str]:
    """Returns the sandbox's variables without those that lead git to the history, and without a hint at the workspace."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") and name != "OLDPWD"}
    return {**kept, "PWD": str(work)}
