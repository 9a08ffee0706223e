"""A store in memory that several conductors of this process share, with a lease by one clock. It sends no notices.

`SharedMemory` is the database: the runs, the lease and the fence. `SharedMemoryStore` is what one conductor opens of it.
"""

import asyncio
import time
from dataclasses import dataclass, field

from conductor.core.lease.model import Ask, Lease, Question
from conductor.core.model.commands import Decision
from conductor.errors import StorageError, SupersededError
from conductor.store.shared import Claim, SharedStore
from conductor.store.wakeups import Wakeups
from tests.fakes.memory_runs import MemoryRuns
from tests.fakes.memory_store import MemoryDisk, MemoryStore


@dataclass
class SharedMemory:
    """What outlives the conductors. `is_away`: the database answers nothing."""

    disk: MemoryDisk = field(default_factory=MemoryDisk)
    runs: MemoryRuns = field(default_factory=MemoryRuns)
    wakeups: Wakeups = field(default_factory=Wakeups)
    holder: str = ""
    address: str = ""
    until: float = 0.0
    presence: bytes = b""
    is_away: bool = False

    def ask(self, ask: Ask, claim: Claim) -> Lease:
        now = time.monotonic()
        is_free = self.holder in ("", claim.holder) or now >= self.until
        is_mine = self.holder == claim.holder and self.disk.epoch == ask.epoch
        match ask.question:
            case Question.TAKE if is_free and self.disk.epoch == ask.epoch:
                self.disk.epoch += 1
                self.holder, self.address, self.until = claim.holder, claim.address, now + claim.seconds
            case Question.RENEW if is_mine and now < self.until:
                self.until = now + claim.seconds
            case Question.GIVE_AWAY if is_mine:
                self.holder = self.address = ""
        left = max(self.until - now, 0.0) if self.holder else 0.0
        return Lease(self.holder, self.disk.epoch, left, self.address)


class SharedMemoryStore(MemoryStore, SharedStore):
    """One conductor's opening."""

    def __init__(self, shared: SharedMemory) -> None:
        self._shared = shared
        self._disk = shared.disk
        self._runs = shared.runs
        self._wakeups = shared.wakeups
        self._epoch = 0
        self.is_cut = False  # from the database, which others reach

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        self._reach()
        if self._disk.epoch != self._epoch:
            raise SupersededError
        return await super().append(decision, time)

    async def ask_lease(self, ask: Ask, claim: Claim) -> Lease:
        await asyncio.sleep(0)
        self._reach()
        return self._shared.ask(ask, claim)

    async def lead(self, epoch: int) -> None:
        self._epoch = epoch

    async def follow(self) -> None:
        self._epoch = 0

    async def hold(self) -> None:
        await asyncio.Event().wait()

    async def hear_others(self) -> None:
        await asyncio.Event().wait()

    async def now(self) -> float:
        return time.time()

    async def keep_presence(self, presence: bytes) -> None:
        self._shared.presence = presence

    async def presence(self) -> bytes:
        return self._shared.presence

    def _reach(self) -> None:
        if self._shared.is_away or self.is_cut:
            raise StorageError("the database is away")
