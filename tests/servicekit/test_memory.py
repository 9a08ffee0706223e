"""Checks that memory which threads have freed goes back to the system."""

import ctypes
import subprocess
import sys

import pytest

# In a process of its own: the allocator of one that has run a thousand tests keeps what it likes.
PROGRAM = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from servicekit.runtime import memory

THREADS, PIECES, PIECE_BYTES = 8, 4000, 2000
memory.LOOK_SECONDS = 0.05

async def main():
    before = memory.resident_bytes()
    returning = asyncio.create_task(memory.MemoryReturn().run())
    together, kept, loop = Barrier(THREADS), [], asyncio.get_running_loop()
    def take_much():
        together.wait()
        kept.append([bytes(PIECE_BYTES) for _ in range(PIECES)])
    with ThreadPoolExecutor(THREADS) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, take_much) for _ in range(THREADS)))
        most = memory.resident_bytes()
        assert most > before + THREADS * PIECES * PIECE_BYTES / 2
        kept.clear()
        async with asyncio.timeout(10):
            while memory.resident_bytes() > before + (most - before) / 4:
                await asyncio.sleep(0.02)
    returning.cancel()

asyncio.run(main())
"""


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps what was freed")
def test_what_many_threads_freed_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
