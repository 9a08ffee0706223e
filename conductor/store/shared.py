"""A store that several conductors share: one leads it, and the others follow what it stores.

It is open from the start of the process, in every role: it reads, and wakes the watchers of what any conductor stored. Between
`lead` and `follow` it also writes, with the epoch of the lease, as long as no other conductor has taken that; StoreLostError and
SupersededError end this.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from conductor.blobs.port import BlobStore
from conductor.core.lease.model import Ask, Lease
from conductor.store.port import Store


@dataclass(frozen=True, slots=True)
class Claim:
    """What a conductor claims the lease with: a name that no other process has, how long it lasts, where callers reach it."""

    holder: str
    seconds: float
    address: str = ""


@runtime_checkable
class SharedStore(Store, Protocol):
    """Everything that outlives the conductors of one database."""

    async def ask_lease(self, ask: Ask, claim: Claim) -> Lease:
        """Carries out one statement about the lease; returns the lease as it is then. Does not wait for what is being stored.

        Raises StorageError where the answer is not known. The statement may have been carried out.
        """

    async def lead(self, epoch: int) -> None:
        """Writes with the epoch of a lease that was taken; upgrades an older schema."""

    async def hold(self) -> None:
        """Looks whether this conductor still writes, until it is cancelled; raises StoreLostError or SupersededError if not."""

    async def follow(self) -> None:
        """Writes nothing more. What the last holder of the lease held in memory is forgotten."""

    async def hear_others(self) -> None:
        """Wakes watchers of what others store, until it is cancelled."""

    def open_blobs(self) -> BlobStore:
        """Opens the blobs beside the runs, which this store writes while it leads."""

    async def now(self) -> float:
        """Returns the time of the database's clock, in seconds since 1970."""

    async def keep_presence(self, presence: bytes) -> None:
        """Keeps how the active conductor sees its hosts, in the place of what was kept before."""

    async def presence(self) -> bytes:
        """Returns what was kept last; empty where nothing was."""
