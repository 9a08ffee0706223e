"""Shows a run as it goes, in one of three ways: live lines on a terminal, a line for each event, or JSON.

Progress goes to stderr, so that stdout holds data only: the JSON events, or the report that follows.
"""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from conductor.cli.text.wording import no_answer, said_nothing
from conductor.cli.views.follow import PATIENCE_SECONDS
from conductor.v1 import run_service_pb2
from servicekit.printing.page import put, say

if TYPE_CHECKING:
    from google.protobuf.message import Message


class View(Protocol):
    """Shows messages of WatchRun as they come."""

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends, leaving the terminal as it was."""

    def show(self, message: run_service_pb2.WatchRunResponse) -> None:
        """Shows one message."""

    def away(self, address: str) -> None:
        """Says that no conductor answers at the address."""

    def silent(self, seconds: float) -> None:
        """Says that the conductor has said nothing for so long; called from another thread."""

    def back(self) -> None:
        """Says that it is back, or speaks again."""


class LineView:
    """Says on stderr how the conductor fares, a line at a time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()

    def away(self, address: str) -> None:
        """Says that no conductor answers."""
        say_away(address)

    def silent(self, seconds: float) -> None:
        """Says for how long the conductor has said nothing."""
        say(f"… {said_nothing(seconds)}", err=True)

    def back(self) -> None:
        """Says that the conductor is back."""
        say_back()


class JsonView(LineView):
    """Prints one proto-JSON object a line on stdout. A finding comes once: a fold tells those that it merges again."""

    def __init__(self) -> None:
        self._findings: set[str] = set()

    def show(self, message: run_service_pb2.WatchRunResponse) -> None:
        """Prints the message."""
        if message.HasField("finding"):
            if message.finding.id in self._findings:
                return
            self._findings.add(message.finding.id)
        put(as_json(message))


def as_json(message: "Message") -> str:
    """Returns a message as proto-JSON on one line."""
    from google.protobuf import json_format

    return json_format.MessageToJson(message, indent=None)


def say_away(address: str) -> None:
    """Says on stderr that no conductor answers, outside of a live view."""
    say(f"… {no_answer(address, PATIENCE_SECONDS)}", err=True)


def say_back() -> None:
    """Says that it is back."""
    say("… it is back", err=True)
