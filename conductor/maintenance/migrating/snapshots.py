"""Carries the snapshots of runs along: from a git folder or from copies in a blob store, to either of them.

A snapshot that is not at the source is told and left out: its run keeps its report, and only reads no more of its files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conductor.blobs.own import OwnBlobs
from conductor.blobs.port import BlobStore
from conductor.core.model.plan import SnapshotPlan
from conductor.errors import SnapshotLostError
from conductor.snapshots.copies.copies import SnapshotCopies
from conductor.snapshots.storing.history import MAX_HISTORY_COMMITS
from conductor.snapshots.storing.objects import ObjectStore
from conductor.snapshots.storing.travelling import BASES, RUNS


@dataclass(frozen=True, slots=True)
class SnapshotSide:
    """One side: a git folder, a blob store, or both. A source without a folder of its own gets a scratch one."""

    folder: Path | None
    blobs: BlobStore | None = None
    is_alone: bool = False  # no other conductor has blobs there: it is the conductor's own database


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where. Copies are made by this conductor in this epoch; `scratch` is a folder for files on their way."""

    source: SnapshotSide
    target: SnapshotSide
    conductor_id: str
    epoch: int
    scratch: Path


async def carry(route: Route, wanted: Mapping[str, SnapshotPlan], tell: Callable[[str, int], None]) -> list[str]:
    """Brings every snapshot to the target; returns the runs whose snapshot is lost."""
    carriage = await _Carriage.open(route)
    lost = []
    for number, (run, plan) in enumerate(wanted.items(), 1):
        if not await carriage.carry(run, plan):
            lost.append(run)
        tell("snapshots", number)
    return lost


class _Carriage:
    def __init__(self, objects: ObjectStore, received: SnapshotCopies | None) -> None:
        self._objects = objects
        self._received = received
        self._folder: ObjectStore | None = None
        self._sent: SnapshotCopies | None = None

    @classmethod
    async def open(cls, route: Route) -> "_Carriage":
        source, target = route.source, route.target
        objects = ObjectStore((source.folder or route.scratch / "objects").absolute(), MAX_HISTORY_COMMITS)
        await objects.open()
        carriage = cls(objects, _copies(source, objects, route, "received"))
        if target.folder is not None and target.folder.absolute() != objects.git.folder:
            carriage._folder = ObjectStore(target.folder.absolute(), MAX_HISTORY_COMMITS)
            await carriage._folder.open()
        carriage._sent = _copies(target, objects, route, "sent")
        return carriage

    async def carry(self, run: str, plan: SnapshotPlan) -> bool:
        """Carries a snapshot and its base; returns whether both are here."""
        commits = [commit for commit in (plan.commit, plan.base_commit) if commit]
        for commit in commits:
            if not await self._bring(commit):
                return False
        if self._folder is not None:
            for refs, commit in zip((RUNS, BASES), commits, strict=False):
                await self._folder.copy(self._objects.git, await self._objects.history(commit))
                await self._folder.point(f"{refs}/{run}", commit)
        if self._sent is not None:
            history = (await self._objects.history(plan.commit)).parents
            await self._sent.keep(run, [plan.commit, *(base for base in commits[1:] if base not in history)])
        return True

    async def _bring(self, commit: str) -> bool:
        if await self._objects.present((commit,)):
            return True
        try:
            return self._received is not None and await self._received.fetch(commit)
        except SnapshotLostError:
            return False


def _copies(side: SnapshotSide, objects: ObjectStore, route: Route, name: str) -> SnapshotCopies | None:
    if side.blobs is None:
        return None
    own = side.blobs if side.is_alone else OwnBlobs(side.blobs, route.conductor_id)
    return SnapshotCopies(own, objects, route.scratch / name, lambda: route.epoch)
