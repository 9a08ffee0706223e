"""What a host clears away while it runs: snapshots that are to go, control groups and trial folders that nobody lives in any more.

It begins when every attempt that an earlier daemon left was adopted, goes round slowly, and looks for control groups whenever an
attempt came or went: a shim that was killed leaves its own behind. It decides nothing: `core.eviction` and the locks of shims do.
Only folders of this host's data directory are touched.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import structlog

from agenthost.attempt.shims import is_alive
from agenthost.host.data_folder import DataFolder
from agenthost.sandbox.cgroups import CgroupPlace, find_cgroups, sweep
from agenthost.snapshots.integrity import SnapshotIntegrity
from agenthost.snapshots.store import SnapshotStore
from agenthost.system.change import Change

ROUND_SECONDS = 300.0
# What lived in a group of a shim that was killed takes a moment to die.
AGAIN_SECONDS, MAX_AGAIN = 0.2, 25

_log = structlog.get_logger()


class Housekeeping:
    """Keeps a host's directory in order. Use it as a context: entering clears once, leaving stops."""

    def __init__(
        self, data: DataFolder, snapshots: SnapshotStore, integrity: SnapshotIntegrity, change: Change
    ) -> None:
        self._data, self._snapshots, self._integrity, self._change = data, snapshots, integrity, change
        self._groups: CgroupPlace | None = None
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._groups = await asyncio.to_thread(find_cgroups, self._data.path)
        await self._sweep()
        await asyncio.to_thread(_prune_probes, self._data.probes)
        for duty in (self._go_round(), self._follow_attempts(), self._integrity.watch()):
            self._running.append(self._tasks.create_task(duty))
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def _go_round(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # a disk in trouble is told by those who need it
                await self._snapshots.eviction.evict()
            await self._sweep()
            await asyncio.sleep(ROUND_SECONDS)

    async def _follow_attempts(self) -> None:
        while True:
            changed = self._change.subscribe()
            for _ in range(MAX_AGAIN):
                if not await self._sweep():
                    break
                await asyncio.sleep(AGAIN_SECONDS)
            await changed.wait()

    async def _sweep(self) -> int:
        """Removes the groups of those that live no more; gives how many are still on their way out."""
        if self._groups is None:
            return 0
        try:
            removed, left = await asyncio.to_thread(sweep, self._groups, self._inhabited)
        except OSError as error:  # short of descriptors, say: the next round sweeps
            _log.warning("cgroups_not_swept", why=str(error))
            return 0
        if removed:
            _log.info("cgroups_swept", count=removed)
        return left

    def _inhabited(self) -> Iterator[Path]:
        """Every folder in which a shim lives."""
        folders = [*self._data.attempts.glob("*"), *self._data.probes.glob("*/attempt")]
        return (folder for folder in folders if is_alive(folder))


def _prune_probes(probes: Path) -> None:
    """Deletes what a daemon left that was killed while it proved a sandbox. Blocking."""
    for folder in probes.glob("*"):
        if not folder.is_symlink() and not is_alive(folder / "attempt"):
            shutil.rmtree(folder, ignore_errors=True)
