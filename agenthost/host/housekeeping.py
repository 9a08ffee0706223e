"""Clears away while the host runs: snapshots to be evicted, control groups and trial folders whose shims are gone.

It begins when all leftovers are adopted, makes a slow round, and looks for control groups whenever an attempt came or went: a
killed shim leaves its own behind. It decides nothing: `core.snapshots.eviction` and the locks of shims do. It touches only folders
of this host's data directory.
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
from servicekit.runtime.memory import MemoryReturn

ROUND_SECONDS = 300.0
# The processes in the group of a killed shim take a moment to die.
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
        for duty in (self._go_round(), self._follow_attempts(), self._integrity.watch(), MemoryReturn().run()):
            self._running.append(self._tasks.create_task(duty))
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def _go_round(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # the next request that needs the disk reports its trouble
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
        """Removes the control groups whose shims are gone; returns how many could not be removed yet."""
        if self._groups is None:
            return 0
        try:
            removed, left = await asyncio.to_thread(sweep, self._groups, self._inhabited)
        except OSError as error:  # short of descriptors, for example: the next round sweeps
            _log.warning("cgroups_not_swept", why=str(error))
            return 0
        if removed:
            _log.info("cgroups_swept", count=removed)
        return left

    def _inhabited(self) -> Iterator[Path]:
        """Yields every folder in which a shim lives."""
        folders = [*self._data.attempts.glob("*"), *self._data.probes.glob("*/attempt")]
        return (folder for folder in folders if is_alive(folder))


def _prune_probes(probes: Path) -> None:
    """Deletes the trial folders of a daemon that was killed while it proved a sandbox. Blocking."""
    for folder in probes.glob("*"):
        if not folder.is_symlink() and not is_alive(folder / "attempt"):
            shutil.rmtree(folder, ignore_errors=True)
