"""The pushed snapshots of all callers: finds the folder of each, and lets go what was not used for long."""

import hashlib
from pathlib import Path

from conductor.config import Pushes
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.pushed.caller_store import CallerStore, size_of
from conductor.snapshots.pushed.records import Record
from conductor.snapshots.storing.history import MAX_HISTORY_COMMITS
from servicekit.threads import in_thread


class PushedSnapshots:
    """The stores of callers by their identities, opened as they are used."""

    def __init__(
        self, folder: Path, limits: Pushes | None = None, *, history_commits: int = MAX_HISTORY_COMMITS
    ) -> None:
        self._folder = folder.absolute()
        self._limits = limits or Pushes()
        self._history_commits = history_commits
        self._opened: dict[str, CallerStore] = {}
        self._opening = KeyedLocks()

    @property
    def keep_seconds(self) -> int:
        """Returns how long a snapshot is kept after its last use."""
        return self._limits.keep_seconds

    async def of(self, caller: str) -> CallerStore:
        """Returns the store of a caller, by the caller's identity."""
        return await self._open(hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:32])

    async def find(self, caller: str, snapshot: str, *, reads_all: bool) -> tuple[CallerStore, Record] | None:
        """Returns a snapshot that a caller may read, with the store that holds it; None where there is none."""
        own = await self.of(caller)
        for store in [own, *(await self._others(own) if reads_all else ())]:
            if record := await store.find(snapshot):
                return store, record
        return None

    async def let_go(self) -> None:
        """Lets go of what no caller used for long."""
        for store in await self._all():
            await store.let_go(self.keep_seconds)

    async def _others(self, own: CallerStore) -> list[CallerStore]:
        return [store for store in await self._all() if store is not own]

    async def _all(self) -> list[CallerStore]:
        return [await self._open(name) for name in await in_thread(self._names)]

    def _names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir())

    def _count_all(self) -> tuple[int, int]:
        promised = sum(store.promised_bytes for store in tuple(self._opened.values()))
        return size_of(self._folder) + promised, promised

    async def _open(self, name: str) -> CallerStore:
        async with self._opening.hold(name):
            if name not in self._opened:
                self._opened[name] = await CallerStore.open(
                    self._folder / name, self._limits, self._history_commits, self._count_all
                )
            return self._opened[name]
