"""Checks that memory which threads have freed goes back to the system."""

import asyncio
import contextlib
import ctypes
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from servicekit import memory
from servicekit.memory import MemoryReturn, resident_bytes

THREADS, PIECES, PIECE_BYTES = 8, 4000, 2000


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps what was freed")
async def test_what_many_threads_freed_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOK_SECONDS", 0.05)
    before = resident_bytes()
    returning = asyncio.create_task(MemoryReturn().run())
    together, kept = Barrier(THREADS), list[list[bytes]]()

    def take_much() -> None:
        together.wait()
        kept.append([bytes(PIECE_BYTES) for _ in range(PIECES)])

    with ThreadPoolExecutor(THREADS) as pool:
        await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, take_much) for _ in range(THREADS)))
        most = resident_bytes()
        kept.clear()
        async with asyncio.timeout(10):
            while resident_bytes() > before + (most - before) / 4:
                await asyncio.sleep(0.02)
    returning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await returning

    assert most > before + THREADS * PIECES * PIECE_BYTES / 2
