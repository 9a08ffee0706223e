"""The format of a block: many small texts as one run of bytes, which keeps the position, the exact time and the strip of each.

Pure: `compaction` decides which texts are packed. A strip is a piece of one channel without a gap; here it is only a number.

A block is two zlib streams, one after the other: the boundaries, then the texts, those of one strip together. The boundaries are
columns of varints: the number of entries, then of all entries the strip, the position, the length and the time. Positions are
stored as differences, times as differences of their bit patterns, which are small and exact. The boundaries of a word every 20 ms
are as long as the word, hence the compression; its checksum also finds damage.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

# A window of this size is packed in a few milliseconds, and a page of history unpacks little that it does not return.
MAX_ENTRIES = 1_000
MAX_TEXT_BYTES = 64 * 1024

_COLUMNS = 4
_VARINT_BYTES = 10
_MAX_BOUNDARY_BYTES = _VARINT_BYTES * (_COLUMNS * MAX_ENTRIES + 1)


class UnreadableBlockError(Exception):
    """The bytes are not a block."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A text at its place: whole characters of UTF-8."""

    position: int
    time: float
    strip: int
    text: bytes


def pack(entries: Sequence[Entry]) -> bytes:
    """Returns the block of these entries, which are in the order of their positions."""
    patterns = struct.unpack(f"<{len(entries)}q", struct.pack(f"<{len(entries)}d", *(entry.time for entry in entries)))
    boundaries = b"".join(
        (
            _varints((len(entries),)),
            _varints(entry.strip for entry in entries),
            _varints(_differences(entry.position for entry in entries)),
            _varints(len(entry.text) for entry in entries),
            _varints(_to_unsigned(difference) for difference in _differences(patterns)),
        )
    )
    texts = b"".join(entry.text for entry in sorted(entries, key=_strip))
    return zlib.compress(boundaries) + zlib.compress(texts)


def unpack(data: bytes) -> list[Entry]:
    """Returns the entries of a block, in the order of their positions. UnreadableBlockError: it is damaged."""
    boundaries, rest = _inflate(data, _MAX_BOUNDARY_BYTES)
    texts, rest = _inflate(rest, MAX_TEXT_BYTES)
    if rest:
        raise UnreadableBlockError("bytes follow its end")
    strips, differences, lengths, time_differences = _columns(boundaries)
    positions = list(accumulate(differences))
    if any(second <= first for first, second in pairwise(positions)):
        raise UnreadableBlockError("its positions do not ascend")
    if sum(lengths) != len(texts):
        raise UnreadableBlockError(f"{len(texts)} bytes of text where {sum(lengths)} are named")
    try:
        patterns = struct.pack(f"<{len(strips)}q", *accumulate(map(_to_signed, time_differences)))
    except struct.error as error:
        raise UnreadableBlockError(f"a time cannot be read: {error}") from error
    times = struct.unpack(f"<{len(strips)}d", patterns)
    return [Entry(*whole) for whole in zip(positions, times, strips, _cut(texts, strips, lengths), strict=True)]


def _strip(entry: Entry) -> int:
    return entry.strip


def _cut(texts: bytes, strips: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
    """Returns the text of each entry: texts lie strip by strip."""
    pieces = [b""] * len(strips)
    start = 0
    for at in sorted(range(len(strips)), key=strips.__getitem__):
        pieces[at] = texts[start : start + lengths[at]]
        start += lengths[at]
    return pieces


def _columns(boundaries: bytes) -> tuple[list[int], ...]:
    count, *values = _read_varints(boundaries) or [0]
    if not 0 < count <= MAX_ENTRIES or len(values) != _COLUMNS * count:
        raise UnreadableBlockError(f"{len(values)} boundaries of {count} entries")
    return tuple(values[at * count : (at + 1) * count] for at in range(_COLUMNS))


def _inflate(data: bytes, limit: int) -> tuple[bytes, bytes]:
    """Returns the content of the stream at the head of `data`, and the bytes after it."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise UnreadableBlockError(str(error)) from error
    if not stream.eof or len(found) > limit:
        raise UnreadableBlockError("a stream in it is cut short, or too long")
    return found, stream.unused_data


def _differences(values: Iterable[int]) -> Iterator[int]:
    last = 0
    for value in values:
        yield value - last
        last = value


def _to_unsigned(number: int) -> int:
    return 2 * number if number >= 0 else -2 * number - 1


def _to_signed(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2


def _varints(numbers: Iterable[int]) -> bytes:
    """Encodes non-negative numbers, seven bits a byte, the low ones first; the high bit says that more follow."""
    data = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            data.append(rest & 0x7F | 0x80)
            rest >>= 7
        data.append(rest)
    return bytes(data)


def _read_varints(data: bytes) -> list[int]:
    numbers = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise UnreadableBlockError("its last boundary is cut short")
    return numbers
