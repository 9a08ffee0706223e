"""Where an attempt's spool was cut into frames: appended before the frames are sent, so that a replay makes the same ones.

Records of `[offset u64][time u64, ns][final u8]`, little endian. It needs no sync: what a power cut takes, it takes with the agent.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

from agenthost.core.numbering import Cut

RECORD = Struct("<QQ?")
_READ_RECORDS = 4096


class Cuts:
    """The cuts of one attempt. One stream at a time uses it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Iterator[Cut]:
        """Every cut so far, in order; one that was torn by the daemon's death is dropped, its frames were never sent."""
        with self._path.open("a+b") as file:
            file.truncate(os.fstat(file.fileno()).st_size // RECORD.size * RECORD.size)
            file.seek(0)
            while block := file.read(RECORD.size * _READ_RECORDS):
                for record in RECORD.iter_unpack(block):
                    yield Cut(*record)

    def append(self, cut: Cut) -> None:
        """Adds the next cut."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, RECORD.pack(cut.offset, cut.time_ns, cut.final))
        finally:
            os.close(descriptor)
