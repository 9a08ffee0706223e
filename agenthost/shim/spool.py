"""Where everything that an agent says is kept, in order: records of [kind u8][length u32 LE][payload]. It does not read them."""

import contextlib
import os
import struct

STDOUT, STDERR = 1, 2
INPUT = 3  # written just before it is applied; its payload is [number u64 LE][text]


class Spool:
    """Everything that was said, in order. It only grows, by whole records."""

    def __init__(self) -> None:
        self.fd = os.open("spool", os.O_WRONLY | os.O_APPEND)
        self.size = 0

    def append(self, kind: int, data: bytes) -> bool:
        """Adds a record, or, where the disk is full, nothing at all."""
        record = struct.pack("<BI", kind, len(data)) + data
        written = -1
        with contextlib.suppress(OSError):
            written = os.write(self.fd, record)
        if written != len(record):
            os.ftruncate(self.fd, self.size)
            return False
        self.size += written
        return True
