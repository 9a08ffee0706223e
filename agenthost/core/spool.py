"""The spool's records: `[kind u8][length u32, little endian][payload]`, appended by the shim as things happen.

Reads pieces: a record of output may be cut anywhere and comes out in as many parts. It does not decode what is in them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

HEADER = Struct("<BI")
INPUT_NUMBER = Struct("<Q")


class RecordKind(IntEnum):
    """What a record holds. Other numbers are skipped: an older daemon may meet a newer shim."""

    STDOUT = 1
    STDERR = 2
    INPUT = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of one record, in order. `INPUT` records come whole."""

    kind: int
    data: bytes


class SpoolReader:
    """Takes the spool in chunks of any size and gives the records' bytes as they come."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._input = bytearray()
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Gives the pieces that `data` holds or completes."""
        position = 0
        while position < len(data):
            if self._left == 0:
                position += self._take_header(data[position : position + HEADER.size])
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            if self._kind == RecordKind.INPUT:
                self._input += piece
                if self._left:
                    continue
                piece = bytes(self._input)
                self._input.clear()
            yield Piece(self._kind, piece)

    def _take_header(self, data: bytes) -> int:
        taken = data[: HEADER.size - len(self._header)]
        self._header += taken
        if len(self._header) == HEADER.size:
            self._kind, self._left = HEADER.unpack(self._header)
            self._header.clear()
        return len(taken)
