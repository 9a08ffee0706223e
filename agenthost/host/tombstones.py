"""Blocks ids for a day: those that were resumed before they were started, and those whose end was acknowledged.

Otherwise a delayed Start would run an attempt that its conductor gave up, or run an attempt twice.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from agenthost.core.admission.admission import Tombstone, TombstoneReason
from agenthost.errors import StorageError
from agenthost.system.files import append_lines, compact_lines, read_json_lines

MAX_TOMBSTONES = 200_000

_log = structlog.get_logger()


class Tombstones:
    """Remembers blocked ids, durably."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._lock = asyncio.Lock()
        self._stones: dict[str, Tombstone] = {}
        self._unwritten: set[str] = set()
        for line in read_json_lines(path):
            if stone := _read(line):
                self._stones[stone.execution] = stone
        self._drop_expired()
        compact_lines(path, map(_line, self._stones.values()))

    def find(self, execution: str) -> Tombstone | None:
        """Returns the tombstone of an id, if it still counts."""
        stone = self._stones.get(execution)
        return stone if stone and stone.counts(self._now()) else None

    def all(self) -> list[Tombstone]:
        """Returns every tombstone that counts, oldest first."""
        return [stone for stone in self._stones.values() if stone.counts(self._now())]

    async def add(self, stone: Tombstone) -> None:
        """Blocks an id at once, also while other ids are being written; returns when its tombstone is on the disk.

        Raises StorageError where it cannot be written: then the id is not blocked, since a restart would not know it.
        """
        known = self.find(stone.execution)
        if known is None or known.why is not stone.why:
            self._stones.pop(stone.execution, None)
            self._stones[stone.execution] = stone
            self._unwritten.add(stone.execution)
        async with self._lock:
            if stone.execution in self._unwritten:
                await self._write(stone)
                return
        if self.find(stone.execution) is None:  # another call has blocked it, and could not write that
            await self.add(stone)

    async def _write(self, stone: Tombstone) -> None:
        self._drop_expired()
        try:
            await asyncio.to_thread(append_lines, self._path, _line(stone))
        except StorageError:
            self._stones.pop(stone.execution, None)
            self._unwritten.discard(stone.execution)
            raise
        self._unwritten.discard(
            stone.execution
        )  # after a cancellation it may not be written: the next call does it again

    def _drop_expired(self) -> None:
        while self._stones:
            oldest = next(iter(self._stones.values()))
            if oldest.counts(self._now()) and len(self._stones) <= MAX_TOMBSTONES:
                return
            del self._stones[oldest.execution]


def _read(line: Any) -> Tombstone | None:
    try:
        return Tombstone(**{**line, "why": TombstoneReason(line["why"]), "time": float(line["time"])})
    except (TypeError, KeyError, ValueError):
        _log.warning("tombstone_damaged")
        return None


def _line(stone: Tombstone) -> bytes:
    return json.dumps(asdict(stone)).encode() + b"\n"
