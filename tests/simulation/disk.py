"""A host's disk: what was written is there after a crash of a program, what was synced also after a power cut.

While it is full, writing raises DiskFull and leaves nothing behind, which is what the programs see to.
"""

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Generic, TypeVar

from agenthost.core.ending import Cause
from agenthost.core.output.numbering import Cut
from conductor.core.model.events import StartSpec

if TYPE_CHECKING:
    from agenthost.core.admission.admission import Tombstone

Item = TypeVar("Item")


class DiskFull(Exception):  # noqa: N818 — it is what the system says
    """No space is left."""


class Log(Generic[Item]):
    """A file of records that only grows."""

    def __init__(self, disk: "Disk") -> None:
        self._disk = disk
        self.items: list[Item] = []
        self.synced = 0

    def append(self, item: Item) -> None:
        self._disk.require_space()
        self.items.append(item)

    def sync(self) -> None:
        self.synced = len(self.items)

    def lose_power(self, rng: Random) -> None:
        del self.items[_kept(rng, self.synced, len(self.items)) :]


class Spool:
    """A file of bytes that only grows."""

    def __init__(self, disk: "Disk") -> None:
        self._disk = disk
        self.data = bytearray()
        self.synced = 0

    def append(self, data: bytes) -> None:
        self._disk.require_space()
        self.data += data

    def sync(self) -> None:
        self.synced = len(self.data)

    def lose_power(self, rng: Random) -> None:
        del self.data[_kept(rng, self.synced, len(self.data)) :]


def _kept(rng: Random, synced: int, length: int) -> int:
    """How much of a file a power cut leaves: what was synced, and of the rest nothing, all, or some beginning."""
    return rng.choice((synced, length, rng.randint(synced, length)))


@dataclass(frozen=True, slots=True)
class Status:
    """How an attempt ended, as its shim wrote it down."""

    cause: Cause
    exit_code: int | None = None
    signal: int | None = None


@dataclass(slots=True)
class Folder:
    """An attempt's files. Each flag is a file that is there, or that is also synced."""

    start: StartSpec
    conductor: str
    cuts: Log[Cut]
    is_durable: bool = False
    spool: Spool | None = None
    is_released: bool = False
    status: Status | None = None
    is_status_synced: bool = False
    damage: int = 0  # the number of the frame that tells of it

    def lose_power(self, rng: Random) -> bool:
        """Gives whether all is there that was."""
        before = self._extent()
        self.cuts.lose_power(rng)
        if self.spool is not None:
            self.spool.lose_power(rng)
        if not self.is_status_synced:
            self.status = None
        return self._extent() == before

    def _extent(self) -> tuple[int, int, bool]:
        spooled = 0 if self.spool is None else len(self.spool.data)
        return len(self.cuts.items), spooled, self.status is not None


@dataclass
class Disk:
    """Everything that a host keeps."""

    is_full: bool = False
    folders: dict[str, Folder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fences: Log[tuple[str, int]] = Log(self)
        self.stones: Log[Tombstone] = Log(self)

    def require_space(self) -> None:
        if self.is_full:
            raise DiskFull

    def lose_power(self, rng: Random) -> list[str]:
        """Gives the executions whose files lost something."""
        self.fences.lose_power(rng)
        self.stones.lose_power(rng)
        self.folders = {name: folder for name, folder in self.folders.items() if folder.is_durable}
        return [name for name, folder in self.folders.items() if not folder.lose_power(rng)]
