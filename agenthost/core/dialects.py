"""How stdout is to be read. A dialect turns bytes into sayings, the same ones however the bytes were cut.

Bytes that are not UTF-8 become U+FFFD, also where a character is cut by a chunk's border. `finish` gives what the end completes.
"""

import codecs
from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

from agenthost.core.json_lines import MalformedLineError, parse_line
from agenthost.core.said import Channel, Notice, NoticeKind, Result, Said, Text

# A result may take 1 MiB; its line needs a little around it.
MAX_LINE_BYTES = 1024 * 1024 + 4096


class Dialect(StrEnum):
    """The names that a spec may use."""

    TEXT = "text"
    JSON_LINES = "jsonl"


class DialectReader(Protocol):
    """Reads one stream of bytes."""

    def feed(self, data: bytes) -> Iterator[Said | Result]:
        """Gives what these bytes say."""

    def finish(self) -> Iterator[Said | Result]:
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

    def feed(self, data: bytes) -> Iterator[Said | Result]:
        """Gives the characters that are complete."""
        yield from self._decode(data, final=False)

    def finish(self) -> Iterator[Said | Result]:
        """Gives what was left of a character."""
        yield from self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> Iterator[Said]:
        if text := self._decoder.decode(data, final):
            yield Text(self._channel, text)


class JsonLines:
    """Our own dialect. Lines that break it are kept as a log, after one notice for each kind of fault."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong: PlainText | None = None
        self._faults: set[str] = set()

    def feed(self, data: bytes) -> Iterator[Said | Result]:
        """Gives what complete lines say; a line above the limit is passed on as log without waiting for its end."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            yield from self._take(part)
            yield from self._end_line(b"\n")
        yield from self._take(rest)

    def finish(self) -> Iterator[Said | Result]:
        """Reads a last line that has no end."""
        yield from self._end_line(b"")

    def _take(self, part: bytes) -> Iterator[Said | Result]:
        if self._overlong is not None:
            yield from self._overlong.feed(part)
            return
        self._line += part
        if len(self._line) > MAX_LINE_BYTES:
            yield from self._note_fault("a line is longer than 1 MiB")
            self._overlong = PlainText(Channel.LOG)
            yield from self._overlong.feed(bytes(self._line))
            self._line.clear()

    def _end_line(self, ending: bytes) -> Iterator[Said | Result]:
        if self._overlong is not None:
            yield from self._overlong.feed(ending)
            yield from self._overlong.finish()
            self._overlong = None
            return
        line = bytes(self._line)
        self._line.clear()
        if not line.strip():
            return
        try:
            yield parse_line(line)
        except MalformedLineError as fault:
            yield from self._note_fault(str(fault))
            yield Text(Channel.LOG, (line + ending).decode(errors="replace"))

    def _note_fault(self, fault: str) -> Iterator[Said]:
        if fault not in self._faults:
            self._faults.add(fault)
            yield Notice(NoticeKind.MALFORMED_OUTPUT, f"{fault}; such lines are kept as log")
