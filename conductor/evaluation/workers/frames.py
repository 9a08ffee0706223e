"""Frames between the service and its workers: a JSON header, then bytes that JSON would only inflate.

A frame is the header's length (4 bytes, little-endian), the header, and its attachments, whose sizes are in the header.
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
    """The bytes are not a frame, or the frame is too large."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    header: dict[str, Any]
    attachments: tuple[bytes, ...] = field(default=())


# A task of a worker.
Task = Callable[[Frame], Frame]


def encode(frame: Frame) -> bytes:
    """Returns the frame's bytes."""
    header = json.dumps({**frame.header, _SIZES: [len(data) for data in frame.attachments]}).encode()
    return b"".join((PREFIX.pack(len(header)), header, *frame.attachments))


def header_size(prefix: bytes) -> int:
    """Returns the header's length, from its prefix."""
    size = int(PREFIX.unpack(prefix)[0])
    if size > MAX_HEADER_BYTES:
        raise FrameError(f"a header of {size} bytes")
    return size


def read_header(data: bytes) -> tuple[dict[str, Any], list[int]]:
    """Returns the header, and the sizes of its attachments."""
    header = json.loads(data)
    sizes: list[int] = header.pop(_SIZES)
    if sum(sizes) > MAX_FRAME_BYTES:
        raise FrameError(f"attachments of {sum(sizes)} bytes")
    return header, sizes


def read(stream: BinaryIO) -> Frame | None:
    """Returns the next frame of a blocking stream; None at its end."""
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
    """Returns the attachments in one piece of bytes."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return tuple(pieces)
