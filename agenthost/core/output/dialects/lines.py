"""Reads a dialect of lines: puts lines together again, and keeps as log what the dialect does not know.

A dialect gives it a function that parses one whole line, without its end.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from agenthost.core.output.dialects.text import PlainText
from agenthost.core.output.report import Channel, Notice, NoticeKind, Output, Parsed

KEPT_AS_LOG = "; such lines are kept as log"
# A result may take 1 MiB; its line needs a little around it.
MAX_LINE_BYTES = 1024 * 1024 + 4096


class Fault(StrEnum):
    """Why a line is not what its dialect knows."""

    NO_OBJECT = "a line is not a JSON object"
    NO_JSON = "a line is not JSON"
    NO_TYPE = "a line has no type that is known"
    WRONG_FIELD = "a line lacks what its type needs"
    TOO_LONG = "a line is longer than 1 MiB"


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A field of a line is not what the line's type needs."""

    kind: str
    field: str
    wanted: str

    def __str__(self) -> str:
        return f"a line of type {self.kind} cannot be read: its field {self.field} must be {self.wanted}"


Trouble = Fault | FieldFault
Parse = Callable[[bytes], Iterable[Parsed] | Trouble]
# A dialect has few types and fields, so this holds all that one agent gets wrong.
MAX_TOLD = 16


def load_object(line: bytes) -> Mapping[str, Any] | Fault:
    """Reads a line that must hold one JSON object."""
    # An agent of plain text may print millions of these lines; a value, because that many exceptions take their time.
    if line[:1] != b"{" and not line.lstrip().startswith(b"{"):
        return Fault.NO_OBJECT
    try:
        message: Mapping[str, Any] = json.loads(line.decode(errors="replace"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return Fault.NO_JSON
    return message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


class LineReader:
    """Reads lines. Those with a fault are kept as log, after one notice for each kind of fault; empty ones are dropped.

    With `passes_mark` the first line may begin with a byte order mark, as some runtimes write one.
    """

    def __init__(self, parse: Parse, *, passes_mark: bool = False) -> None:
        self._parse = parse
        self._passes_mark = passes_mark
        self._line = bytearray()
        self._overlong: PlainText | None = None
        self._faults: set[Trouble] = set()

    def feed(self, data: bytes) -> Iterator[Parsed]:
        """Yields what complete lines say. A line above the limit becomes log without waiting for its end."""
        first, *others = data.split(b"\n")
        yield from self._take(first)
        if others:
            yield from self._end_line(b"\n")
            yield from self._read_lines(others[:-1])
            yield from self._take(others[-1])

    def finish(self) -> Iterator[Parsed]:
        """Reads a last line that has no end."""
        yield from self._end_line(b"")

    def _take(self, part: bytes) -> Iterator[Parsed]:
        if self._overlong is not None:
            yield from self._overlong.feed(part)
            return
        self._line += part
        if len(self._line) > MAX_LINE_BYTES:
            yield from self._note_fault(Fault.TOO_LONG)
            self._overlong = PlainText(Channel.LOG)
            yield from self._overlong.feed(bytes(self._line))
            self._line.clear()

    def _end_line(self, ending: bytes) -> Iterator[Parsed]:
        if self._overlong is not None:
            yield from self._overlong.feed(ending)
            yield from self._overlong.finish()
            self._overlong = None
            return
        line = bytes(self._line)
        self._line.clear()
        if self._passes_mark:
            line, self._passes_mark = line.removeprefix(BOM_UTF8), False
        yield from self._read_lines([line], ending)

    def _read_lines(self, lines: Sequence[bytes], ending: bytes = b"\n") -> Iterator[Parsed]:
        """Reads whole lines. Strange ones in a row become one text: an agent may write a million of them."""
        strange: list[bytes] = []
        for line in lines:
            parsed = self._parse(line)
            if isinstance(parsed, (Fault, FieldFault)):
                if not line.strip():
                    continue
                if parsed not in self._faults:
                    yield from _log_of(strange)
                    yield from self._note_fault(parsed)
                strange += (line, ending)
            else:
                yield from _log_of(strange)
                yield from parsed
        yield from _log_of(strange)

    def _note_fault(self, fault: Trouble) -> Iterator[Parsed]:
        if fault not in self._faults and len(self._faults) < MAX_TOLD:
            self._faults.add(fault)
            yield Notice(NoticeKind.MALFORMED_OUTPUT, f"{fault}{KEPT_AS_LOG}")


def _log_of(lines: list[bytes]) -> Iterator[Parsed]:
    if lines:
        yield Output(Channel.LOG, b"".join(lines).decode(errors="replace"))
        lines.clear()
