"""How stdout is to be read. A dialect turns bytes into sayings, the same ones however the bytes were cut.

Bytes that are not UTF-8 become U+FFFD, also where a character is cut by a chunk's border. `finish` gives what the end completes.
"""

import codecs
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from agenthost.core.output.dialects.jsonl import Fault, parse_line
from agenthost.core.output.report import Channel, Notice, NoticeKind, Output, Report, Result

# A result may take 1 MiB; its line needs a little around it.
MAX_LINE_BYTES = 1024 * 1024 + 4096


class Dialect(StrEnum):
    """The names that a spec may use."""

    TEXT = "text"
    JSON_LINES = "jsonl"


class DialectReader(Protocol):
    """Reads one stream of bytes."""

    def feed(self, data: bytes) -> Iterator[Report | Result]:
        """Gives what these bytes say."""

    def finish(self) -> Iterator[Report | Result]:
        """Gives what was still incomplete; nothing comes after it."""


def reader_for(dialect: Dialect) -> DialectReader:
    """A new reader of an agent's stdout."""
    match dialect:
        case Dialect.TEXT:
            return PlainText(Channel.ANSWER)
        case Dialect.JSON_LINES:
            return JsonLines()


class PlainText:
    """Everything is text of one channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> Iterator[Report | Result]:
        """Gives the characters that are complete."""
        yield from self._decode(data, final=False)

    def finish(self) -> Iterator[Report | Result]:
        """Gives what was left of a character."""
        yield from self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> Iterator[Report]:
        if text := self._decoder.decode(data, final):
            yield Output(self._channel, text)


class JsonLines:
    """Our own dialect. Lines that break it are kept as a log, after one notice for each kind of fault."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong: PlainText | None = None
        self._faults: set[Fault] = set()

    def feed(self, data: bytes) -> Iterator[Report | Result]:
        """Gives what complete lines say; a line above the limit is passed on as log without waiting for its end."""
        first, *others = data.split(b"\n")
        yield from self._take(first)
        if others:
            yield from self._end_line(b"\n")
            yield from self._read_lines(others[:-1])
            yield from self._take(others[-1])

    def finish(self) -> Iterator[Report | Result]:
        """Reads a last line that has no end."""
        yield from self._end_line(b"")

    def _take(self, part: bytes) -> Iterator[Report | Result]:
        if self._overlong is not None:
            yield from self._overlong.feed(part)
            return
        self._line += part
        if len(self._line) > MAX_LINE_BYTES:
            yield from self._note_fault(Fault.TOO_LONG)
            self._overlong = PlainText(Channel.LOG)
            yield from self._overlong.feed(bytes(self._line))
            self._line.clear()

    def _end_line(self, ending: bytes) -> Iterator[Report | Result]:
        if self._overlong is not None:
            yield from self._overlong.feed(ending)
            yield from self._overlong.finish()
            self._overlong = None
            return
        line = bytes(self._line)
        self._line.clear()
        yield from self._read_lines([line], ending)

    def _read_lines(self, lines: Sequence[bytes], ending: bytes = b"\n") -> Iterator[Report | Result]:
        """Reads whole lines. Strange ones in a row become one text: an agent may write a million of them."""
        strange: list[bytes] = []
        for line in lines:
            said = parse_line(line)
            if isinstance(said, Fault):
                if not line.strip():
                    continue
                if said not in self._faults:
                    yield from _log_of(strange)
                    yield from self._note_fault(said)
                strange += (line, ending)
            else:
                yield from _log_of(strange)
                yield said
        yield from _log_of(strange)

    def _note_fault(self, fault: Fault) -> Iterator[Report]:
        if fault not in self._faults:
            self._faults.add(fault)
            yield Notice(NoticeKind.MALFORMED_OUTPUT, f"{fault}; such lines are kept as log")


def _log_of(lines: list[bytes]) -> Iterator[Report]:
    if lines:
        yield Output(Channel.LOG, b"".join(lines).decode(errors="replace"))
        lines.clear()
