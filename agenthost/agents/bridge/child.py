"""An agent as a child process: JSON objects in both directions, one a line. It knows no protocol."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..voice import Voice

MAX_LINE_BYTES = 16 * 1024 * 1024
END_SECONDS = 5.0


class ChildError(Exception):
    """The agent refused a request, or is gone."""


class Child:
    """An agent that was started for its bridge."""

    def __init__(self, command: Sequence[str], voice: Voice, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._voice, self._max = voice, max_line_bytes

    def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message; raises ChildError when the agent reads no more."""
        if self._process.stdin is None:
            raise ChildError("the agent has no stdin")
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ChildError(f"the agent reads no more: {error}") from error

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """Yields what the agent says, to its end. Lines that are no message are passed over, as a stray print is."""
        if self._process.stdout is None:
            return
        while line := self._process.stdout.readline(self._max):
            if not line.endswith(b"\n") and len(line) == self._max:
                self._pass_over_rest()
                continue
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                yield message

    def close(self) -> int:
        """Ends the agent: EOF, then a signal; returns its exit code."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.wait()

    def _pass_over_rest(self) -> None:
        """Drops a line that is too long, and says so: what it held is missing from what the agent did."""
        size = self._max
        while self._process.stdout is not None and (part := self._process.stdout.readline(self._max)):
            size += len(part)
            if part.endswith(b"\n"):
                break
        self._voice.notice(
            f"the agent sent a message of {size} bytes, and at most {self._max} are read: it was left out"
        )
