"""The spool's records: `[kind u8][length u32][checksum u32, CRC-32 of kind, length and payload][payload]`, little endian.

The shim appends them. This module reads them in pieces: a record of output may be cut anywhere and comes out in as many parts; its
checksum is compared after the last. The payload is not decoded here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from zlib import crc32

from agenthost.core.damage import DamagedError

HEADER = Struct("<BII")
CHECKED = Struct("<BI")  # the part of the header that the checksum covers
INPUT_NUMBER = Struct("<Q")
MAX_RECORD_BYTES = 4 * 1024 * 1024  # above an input in its widest spelling; a length beyond it was never written


class RecordKind(IntEnum):
    """Names what a record holds. Other numbers are skipped: an older daemon may read a newer shim's spool.

    The payload of the last four begins with an `INPUT_NUMBER`.
    """

    STDOUT = 1
    STDERR = 2
    INPUT = 3  # an input, before it is applied: the text follows its number
    APPLIED = 4
    REFUSED = 5  # the reason follows the number
    CLOSED = 6  # no input follows; the number is the last one's


@dataclass(frozen=True, slots=True)
class Piece:
    """Holds some bytes of one record, in order. Only records of output come in parts."""

    kind: int
    data: bytes


_WHOLE = frozenset({RecordKind.INPUT, RecordKind.APPLIED, RecordKind.REFUSED, RecordKind.CLOSED})


class SpoolReader:
    """Takes the spool in chunks of any size and yields the records' bytes as they come. Raises DamagedError."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._whole = bytearray()
        self._kind = 0
        self._left = 0
        self._expected = self._sum = 0
        self._read = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Yields what `data` holds or completes: neighbouring output of one stream in one piece, which is cheaper to read."""
        kind, parts = 0, list[bytes]()
        try:
            for piece in self._pieces(data):
                if parts and (piece.kind != kind or kind in _WHOLE):
                    yield Piece(kind, b"".join(parts))
                    parts.clear()
                kind = piece.kind
                parts.append(piece.data)
        except DamagedError:  # what stands before the damage is passed on
            if parts:
                yield Piece(kind, b"".join(parts))
            raise
        if parts:
            yield Piece(kind, b"".join(parts))

    def _pieces(self, data: bytes) -> Iterator[Piece]:
        position = 0
        while position < len(data):
            if self._left == 0:
                position += self._take_header(data[position : position + HEADER.size])
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._read += len(piece)
            self._left -= len(piece)
            self._sum = crc32(piece, self._sum)
            self._compare()
            if self._kind in _WHOLE:
                self._whole += piece
                if self._left:
                    continue
                piece = bytes(self._whole)
                self._whole.clear()
            yield Piece(self._kind, piece)

    def finish(self) -> None:
        """Raises DamagedError when a complete spool ends within a record."""
        if self._left or self._header:
            raise DamagedError(f"spool: it ends within a record, at byte {self._read}")

    def _take_header(self, data: bytes) -> int:
        taken = data[: HEADER.size - len(self._header)]
        self._header += taken
        self._read += len(taken)
        if len(self._header) == HEADER.size:
            self._kind, self._left, self._expected = HEADER.unpack(self._header)
            self._header.clear()
            if self._left > MAX_RECORD_BYTES:
                raise DamagedError(f"spool: no record begins at byte {self._read - HEADER.size}")
            self._sum = crc32(CHECKED.pack(self._kind, self._left))
            self._compare()
        return len(taken)

    def _compare(self) -> None:
        if self._left == 0 and self._sum != self._expected:
            raise DamagedError(f"spool: the record that ends at byte {self._read} has another checksum")
