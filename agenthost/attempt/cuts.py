"""The file of an attempt's cuts: a cut is appended before its frames are sent, so that a replay makes the same ones.

Records of `[offset u64][time u64, ns][sequence u32][end u8][CRC-32 u32]`, little endian. The sequence is the number of the last
frame of the cut: a replay that arrives at another number (a damaged file, a parser that has changed) is not sent. The file needs
no sync: a power cut that takes its end has ended the agent, too.

A full disk must not keep an end from being sent. So room is taken ahead of need, without making the file longer. When the disk has
no more, the last of that room is for large cuts (`has_room`), and suffices for as many of them as there can be.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from zlib import crc32

from agenthost.core.damage import DamagedError
from agenthost.core.output.numbering import Cut
from agenthost.system.files import allocate, append_whole

FIELDS = Struct("<QQIB")
RECORD_BYTES = FIELDS.size + 4
LARGE_CUT_BYTES = 64 * 1024
# Beside the large cuts: the end, and one for each stream that breaks meanwhile, within reason.
SPARE_RECORDS = 64
_FINAL, _CANCELLED = 1, 2
AHEAD_BYTES = 16 * 1024
_READ_RECORDS = 4096


class Cuts:
    """Keeps the cuts of one attempt. One stream at a time uses it, keeps the file open meanwhile, and closes it."""

    def __init__(self, path: Path, max_output_bytes: int) -> None:
        self._path = path
        self._descriptor = -1
        self._needed_bytes = (max_output_bytes // LARGE_CUT_BYTES + SPARE_RECORDS) * RECORD_BYTES
        self._allocated_bytes = self._used_bytes = 0

    def read(self) -> Iterator[Cut]:
        """Yields every cut so far, in order. Drops one that the daemon's death has torn: its frames were never sent."""
        with os.fdopen(self._opened(), "rb", closefd=False) as file:
            self._used_bytes = os.fstat(file.fileno()).st_size // RECORD_BYTES * RECORD_BYTES
            os.ftruncate(file.fileno(), self._used_bytes)
            file.seek(0)
            while block := file.read(RECORD_BYTES * _READ_RECORDS):
                for start in range(0, len(block), RECORD_BYTES):
                    yield _unpack(block[start : start + RECORD_BYTES])

    def newest(self) -> Cut | None:
        """Returns the last cut without reading those before; None where there is none. Raises DamagedError and OSError.

        It never makes the file: a file shows that the output was read before.
        """
        try:
            with self._path.open("rb") as file:
                count = os.fstat(file.fileno()).st_size // RECORD_BYTES
                file.seek(max(0, count - 1) * RECORD_BYTES)
                return _unpack(file.read(RECORD_BYTES)) if count else None
        except FileNotFoundError:
            return None

    def append(self, cut: Cut) -> None:
        """Adds the next cut; raises StorageError where there is no room for it at all."""
        append_whole(self._opened(), self._path, _pack(cut))
        self._used_bytes += RECORD_BYTES

    def close(self) -> None:
        """Closes the file; the next read or append opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def has_room(self) -> bool:
        """Says that a small cut may be made. The first call takes the room that large ones will need."""
        wanted = self._used_bytes + self._needed_bytes
        if wanted <= self._allocated_bytes:
            return True
        try:
            allocate(self._opened(), wanted + AHEAD_BYTES)
        except OSError as error:
            # A file system that cannot take room ahead holds no promise, and needs no thrift.
            return error.errno not in {errno.ENOSPC, errno.EDQUOT}
        self._allocated_bytes = wanted + AHEAD_BYTES
        return True

    def _opened(self) -> int:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor


def _pack(cut: Cut) -> bytes:
    fields = FIELDS.pack(cut.offset, cut.time_ns, cut.sequence, cut.final * _FINAL | cut.cancelled * _CANCELLED)
    return fields + crc32(fields).to_bytes(4, "little")


def _unpack(record: bytes) -> Cut:
    fields, checksum = record[: FIELDS.size], int.from_bytes(record[FIELDS.size :], "little")
    if crc32(fields) != checksum:
        raise DamagedError("cuts: a record has another checksum")
    offset, time_ns, sequence, end = FIELDS.unpack(fields)
    return Cut(offset, time_ns, sequence, final=bool(end), cancelled=bool(end & _CANCELLED))
