"""What goes through the pipes between the service and its workers: a JSON header, then bytes that JSON would only inflate.

A frame is the header's length (4 bytes, little-endian), the header, and its attachments, whose sizes the header tells.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

PREFIX = struct.Struct("<I")
MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_FRAME_BYTES = 96 * 1024 * 1024
_SIZES = "attachment_sizes"


class FrameError(Exception):
    """The bytes are no frame, or a frame that is too large."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    header: dict[str, Any]
    attachments: tuple[bytes, ...] = field(default=())


# What a worker does with a frame.
Task = Callable[[Frame], Frame]


def encode(frame: Frame) -> bytes:
    """The frame's bytes."""
    header = json.dumps({**frame.header, _SIZES: [len(data) for data in frame.attachments]}).encode()
    return b"".join((PREFIX.pack(len(header)), header, *frame.attachments))


def header_size(prefix: bytes) -> int:
    """The header's length, as its prefix tells it."""
    size = int(PREFIX.unpack(prefix)[0])
    if size > MAX_HEADER_BYTES:
        raise FrameError(f"a header of {size} bytes")
    return size


def read_header(data: bytes) -> tuple[dict[str, Any], list[int]]:
    """The header, and the sizes of what follows."""
    header = json.loads(data)
    sizes: list[int] = header.pop(_SIZES)
    if sum(sizes) > MAX_FRAME_BYTES:
        raise FrameError(f"attachments of {sum(sizes)} bytes")
    return header, sizes


def read(stream: BinaryIO) -> Frame | None:
    """The next frame of a blocking stream; None at its end."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    header, sizes = read_header(_exactly(stream, header_size(prefix)))
    return Frame(header, tuple(_exactly(stream, size) for size in sizes))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise FrameError("the stream ended in the middle of a frame")
    return data


def split(data: bytes, sizes: Sequence[int]) -> tuple[bytes, ...]:
    """Attachments that came as one piece."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return tuple(pieces)
