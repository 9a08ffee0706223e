"""Keeps all that an agent says, in order: records of [kind u8][length u32][CRC-32 u32][payload], little endian.

It does not read them. One file, not segments: a reader replays it from its beginning, so an acknowledged segment could only go if
the parser's state behind it were kept too (half a line, half a character, half a secret); and what it would free stays reserved for
this attempt anyway, up to the output cap, until the end is acknowledged. Then the folder goes, all at once.
"""

import binascii
import contextlib
import os
import struct

STDOUT, STDERR = 1, 2
# Of inputs; the payload begins with a number, u64 LE. INPUT is written just before it is applied, and the text follows; in REFUSED
# the reason does. All but INPUT are written only where turns were asked for.
INPUT, APPLIED, REFUSED, CLOSED = 3, 4, 5, 6


def pack(kind: int, data: bytes) -> bytes:
    """Returns a record."""
    head = struct.pack("<BI", kind, len(data))
    return head + struct.pack("<I", binascii.crc32(data, binascii.crc32(head))) + data


class Spool:
    """The spool of one attempt. It only grows, by whole records."""

    def __init__(self, folder: str = ".") -> None:
        self.fd = os.open(f"{folder}/spool", os.O_WRONLY | os.O_APPEND)
        self.size = 0

    def append(self, kind: int, data: bytes) -> str:
        """Adds a record; where that fails, adds nothing at all and returns the cause for which the attempt must end."""
        if os.fstat(self.fd).st_size != self.size:  # another process wrote to it, or cut it
            return "files_damaged"
        record = pack(kind, data)
        written = -1
        with contextlib.suppress(OSError):
            written = os.write(self.fd, record)
        if written != len(record):
            os.ftruncate(self.fd, self.size)
            return "disk_full"
        self.size += written
        return ""
