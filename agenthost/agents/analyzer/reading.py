"""Reads the output of one batch into the tally: SARIF, or what an adapter understands."""

import importlib
import io
from collections.abc import Callable
from typing import cast

from .pieces import BrokenError
from .results import Adapter, Result
from .sarif import RawResult, Rule, Sarif
from .settings import Settings
from .telling import Tally

Read = Callable[[int], bytes]


def read_sarif(settings: Settings, read: Read, tally: Tally) -> None:
    """Takes the results of a SARIF document; raises BrokenError where it ends early. What stands before is taken."""
    document = Sarif(read)
    try:
        for result in document.results():
            tally.take(result)
    finally:
        tally.close(lambda result: _settled(document, result))
        tally.skip(document.skipped)
        for complaint in document.complaints:
            tally.note(f"{settings.name} says of itself: {complaint}")
        if document.unread:
            tally.note(f"{document.unread:,} results of {settings.name} could not be read.")


def read_adapted(settings: Settings, read: Read, tally: Tally) -> None:
    """Takes the results that the tool's adapter finds in its output; raises BrokenError where it is none."""
    adapter = cast("Adapter", importlib.import_module(f".adapters.{settings.adapter.replace('-', '_')}", __package__))
    try:
        for result in adapter.read(io.BufferedReader(_Raw(read))):
            tally.take(result)
    except BrokenError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenError(f"{type(error).__name__}: {error}"[:300]) from error
    finally:
        tally.close(lambda result: (result, Rule()))


def _settled(document: Sarif, result: Result) -> tuple[Result, Rule]:
    settled = document.settled(result) if isinstance(result, RawResult) else result
    return settled, document.rule_of(settled)


class _Raw(io.RawIOBase):
    """The tool's output as a file."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read_bytes = read

    def readable(self) -> bool:
        """Returns that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads the next bytes into a buffer; returns how many."""
        data = self._read_bytes(len(buffer))
        buffer[: len(data)] = data
        return len(data)
