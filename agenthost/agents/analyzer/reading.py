"""Reads the output of one batch: SARIF, or what an adapter understands. What stands before a break is kept."""

import importlib
import io
from typing import cast

from .judging import Judge
from .pieces import BrokenError, Read
from .results import Adapter, Result
from .sarif.document import Sarif
from .sarif.values import RawResult, Rule
from .settings import Settings
from .taking import Taken, Taking


def read_output(settings: Settings, read: Read, judge: Judge) -> tuple[Taken, str]:
    """Returns what was taken of an output, and why it is not whole: nothing where it is."""
    return _read_adapted(settings, read, judge) if settings.adapter else _read_sarif(settings, read, judge)


def _read_sarif(settings: Settings, read: Read, judge: Judge) -> tuple[Taken, str]:
    document, taking, broken = Sarif(read, settings.name), Taking(judge, settings.unparsed), ""
    try:
        for result in document.results():
            taking.take(result)
    except BrokenError as error:
        broken = str(error)
    taken = taking.settle(lambda result: _settled(document, result))
    taken.skipped += document.skipped
    taken.version = document.version
    taken.notes += [f"{settings.name} says of itself: {complaint}" for complaint in document.complaints]
    if document.has_more:
        taken.notes.append(f"Of what {settings.name} wrote, only the first document of SARIF was read.")
    if document.unread:
        taken.notes.append(
            f"{document.unread:,} results of {settings.name} are too large or broken, and were not read."
        )
    return taken, broken


def _read_adapted(settings: Settings, read: Read, judge: Judge) -> tuple[Taken, str]:
    adapter = cast("Adapter", importlib.import_module(f".adapters.{settings.adapter.replace('-', '_')}", __package__))
    taking, broken = Taking(judge, settings.unparsed), ""
    try:
        output = io.BufferedReader(_Raw(read))
        for result in adapter.read(output, judge.root) if hasattr(adapter, "READS_FILES") else adapter.read(output):
            taking.take(result)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        broken = str(error)[:300] if isinstance(error, BrokenError) else f"{type(error).__name__}: {error}"[:300]
    return taking.settle(lambda result: (result, Rule())), broken


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
