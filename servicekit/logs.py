"""Logs of a service: one line per event on stderr, as JSON or for people. Configured once, at the start of the service.

A service must not depend on what reads its log. So a thread writes it, and a line that finds no room, or cannot be written, is
dropped and counted. The log says how many were dropped as soon as it flows again. To wake a thread costs more than to make a
line, so it writes the first line of a burst at once, and the others together after a pause.
"""

import atexit
import io
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any

import structlog

# What waits for a reader that is slow. A service has as much once more in the thread's hands.
MAX_WAITING_BYTES = 256 * 1024
# What a process that ends waits for its log at most.
LAST_LINES_SECONDS = 0.5
PAUSE_SECONDS = 0.01

_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


class LogStream(io.RawIOBase):
    """Takes lines for a descriptor, and neither waits nor fails. `notice` makes the line that says how many were dropped."""

    def __init__(self, descriptor: int, notice: Callable[[int], str]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._notice = notice
        self._change = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._refused = 0  # since the waiting lines were taken
        self._is_idle = True
        # Of the thread alone: lines that are to be told as dropped, and whether the last one was cut in its middle.
        self._dropped = 0
        self._is_torn = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def writable(self) -> bool:  # noqa: D102
        return True

    def fileno(self) -> int:  # noqa: D102
        return self._descriptor

    def isatty(self) -> bool:  # noqa: D102
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Takes a line, or drops it where too much waits."""
        line = bytes(data)
        with self._change:
            is_first = not (self._waiting or self._refused)
            # In order: after one that was dropped, all are, until the thread has taken what waits.
            if self._refused or (self._waiting and self._waiting_bytes + len(line) > MAX_WAITING_BYTES):
                self._refused += 1
            else:
                self._waiting.append(line)
                self._waiting_bytes += len(line)
            self._is_idle = False
            if is_first:
                self._change.notify_all()
        return len(line)

    def drain(self, seconds: float = LAST_LINES_SECONDS) -> None:
        """Waits until all is written, but not for long."""
        with self._change:
            self._change.wait_for(lambda: self._is_idle, seconds)

    def _run(self) -> None:
        while True:
            with self._change:
                self._is_idle = not (self._waiting or self._refused)
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting or self._refused)
                lines, refused = self._waiting, self._refused
                self._waiting, self._waiting_bytes, self._refused = [], 0, 0
            whole = self._written(lines) if self._tell_dropped() else 0
            self._dropped += len(lines) - whole + refused
            self._tell_dropped()
            time.sleep(PAUSE_SECONDS)

    def _tell_dropped(self) -> bool:
        """Returns whether nothing is left to be told."""
        if self._dropped and self._written([self._notice(self._dropped).encode()]):
            self._dropped = 0
        return not self._dropped

    def _written(self, lines: Sequence[bytes]) -> int:
        """Writes lines at once; returns how many were written whole."""
        start = b"\n" if self._is_torn else b""
        data = b"".join((start, *lines))
        done = self._write(data)
        if done == len(data):
            self._is_torn = False
            return len(lines)
        if done:
            self._is_torn = not data[:done].endswith(b"\n")
        return sum(end <= done for end in accumulate(map(len, lines[1:]), initial=len(start) + len(lines[0])))

    def _write(self, data: bytes) -> int:
        """Returns how many bytes were written before the descriptor failed."""
        done = 0
        # No reader, a full disk, a terminal that is gone.
        with suppress(OSError):
            while done < len(data):
                try:
                    done += os.write(self._descriptor, data[done:])
                except BlockingIOError:  # another process that has this pipe made it so
                    ready = select.poll()
                    ready.register(self._descriptor, select.POLLOUT)
                    ready.poll()
        return done


def configure_logs(style: str, level: str) -> None:
    """Sends structlog, the logs of libraries and all else that goes to stderr through a stream that never waits or fails."""
    processors = _processors(style, is_colored=sys.stderr.isatty())
    _replace_stderr(processors)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=sys.stderr, level=max(number, logging.WARNING), format="%(levelname)s %(name)s %(message)s"
    )


def _processors(style: str, *, is_colored: bool) -> Sequence[structlog.typing.Processor]:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        # Plain tracebacks: rich ones take seconds of the event loop, and show the values of variables, which may be prompts.
        else structlog.dev.ConsoleRenderer(colors=is_colored, exception_formatter=structlog.dev.plain_traceback)
    )
    return (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _TRACEBACKS if style == "json" else structlog.processors.StackInfoRenderer(),
        renderer,
    )


def _replace_stderr(processors: Sequence[structlog.typing.Processor]) -> None:
    def notice(dropped: int) -> str:
        event: Any = {"event": "log_lines_dropped", "count": dropped}
        for process in processors:
            event = process(None, "warning", event)
        return f"{event}\n"

    stream = LogStream(sys.stderr.fileno(), notice)
    sys.stderr = io.TextIOWrapper(stream, sys.stderr.encoding, "backslashreplace", line_buffering=True)
    atexit.register(stream.drain)
