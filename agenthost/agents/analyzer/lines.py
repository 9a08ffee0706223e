"""Reads the output of a tool line by line, within bounds."""

from collections.abc import Iterator
from typing import BinaryIO

MAX_LINE_BYTES = 64 * 1024


def lines_of(stream: BinaryIO) -> Iterator[str]:
    """Yields the lines without their ends. A line that is too long is left out: nothing in its beginning can be trusted."""
    is_whole = True
    while line := stream.readline(MAX_LINE_BYTES):
        has_end = line.endswith(b"\n")
        if is_whole and (has_end or len(line) < MAX_LINE_BYTES):
            yield line.decode(errors="surrogateescape").rstrip("\r\n")
        is_whole = has_end
