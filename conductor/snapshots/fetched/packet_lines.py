"""Reads and writes the lines of git's protocol: each begins with its length in four hexadecimal digits."""

from collections.abc import Iterator
from enum import Enum
from typing import Protocol

MAX_LINE_BYTES = 65520
FLUSH, DELIMITER = b"0000", b"0001"


class Mark(Enum):
    """A line that is no text."""

    FLUSH = "0000"
    DELIMITER = "0001"
    END = "0002"


class ProtocolError(Exception):
    """The server does not speak git's protocol as it should. The message says how."""


class Body(Protocol):
    """A body of an answer."""

    def read(self, size: int) -> bytes:
        """Returns the next bytes; fewer than asked at its end only."""
        ...


def write_line(text: str) -> bytes:
    """Returns a line with its length."""
    data = text.encode() + b"\n"
    return b"%04x%b" % (len(data) + 4, data)


def read_lines(body: Body) -> Iterator[bytes | Mark]:
    """Yields the lines of a body up to its end."""
    while head := body.read(4):
        yield _read_rest(body, head)


def _read_rest(body: Body, head: bytes) -> bytes | Mark:
    try:
        size = int(head, 16) if head.isalnum() and len(head) == 4 else -1
    except ValueError:
        size = -1
    if 0 <= size <= 2:
        return tuple(Mark)[size]
    if not 4 <= size <= MAX_LINE_BYTES:
        raise ProtocolError("sent a line without its length")
    data = body.read(size - 4)
    if len(data) < size - 4:
        raise ProtocolError("ended its answer in the middle of a line")
    if data.startswith(b"ERR "):
        raise ProtocolError(f"refused: {readable(data[4:])}")
    return data


def readable(text: bytes) -> str:
    """Returns a text of the server's for an error: short, and harmless on a terminal."""
    decoded = text[:200].decode("utf-8", "replace").strip()
    return "".join(sign if sign.isprintable() else "?" for sign in decoded)
