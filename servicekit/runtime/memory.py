"""Returns free memory to the system.

glibc keeps what a thread has freed in an arena of that thread, for good, so one large workspace would keep a service large. Few
arenas share more, and what is free in them is returned where the process has grown. Other libraries of C need none of it.
"""

import asyncio
import ctypes
import gc
import os
from pathlib import Path

from servicekit.threads import in_thread

ARENAS = 2
LOOK_SECONDS = 10.0
GROWTH_BYTES = 8 * 1024 * 1024

_M_ARENA_MAX = -8
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None)


def limit_arenas() -> None:
    """Bounds the number of arenas; call it before threads are started."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, ARENAS)


def resident_bytes() -> int:
    """Returns how much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


class MemoryReturn:
    """Returns free memory whenever this process has grown."""

    async def run(self) -> None:
        """Looks now and then, until it is cancelled."""
        if not hasattr(_libc, "malloc_trim"):
            return
        settled = resident_bytes()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if resident_bytes() > settled + GROWTH_BYTES:
                gc.collect()  # a ring of objects would keep what it names until many more are made
                await in_thread(_libc.malloc_trim, 0)
                settled = resident_bytes()
            settled = min(settled, resident_bytes())
