"""Keeps the last trial of each agent by a hostile model, so that a host can tell it, and refuse an agent that broke out.

An agent that broke out stays refused, whatever its spec and its packages become, until another trial of it has held.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from agenthost.packages.prefix import agents_home, shipped_lock
from agenthost.system.files import write_file

FOLDER = ".trials"
UNTRIED = "the agent ended before"  # in the place of an answer


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the model: what the agent answered to it, and whether anything came of it outside of the sandbox.

    One that is untried did not reach the agent, so that nothing could come of it.
    """

    name: str
    answer: str
    has_held: bool
    is_untried: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of one agent, at one release with one spec."""

    agent: str
    version: str
    digest: str
    time_ns: int
    orders: tuple[Order, ...]

    @property
    def has_held(self) -> bool:
        """Returns whether nothing came of any order."""
        return all(order.has_held for order in self.orders)

    @property
    def is_whole(self) -> bool:
        """Returns whether every order reached the agent: otherwise that nothing came of them proves little."""
        return bool(self.orders) and not any(order.is_untried for order in self.orders)

    @property
    def reach(self) -> str:
        """Returns `4 of 9 orders reached the agent`."""
        tried = sum(not order.is_untried for order in self.orders)
        return f"{tried} of {len(self.orders)} orders reached the agent"

    @property
    def outcome(self) -> str:
        """Returns the outcome as a table shows it, such as `held 2026-11-30`; one that broke out did so whatever was untried."""
        outcome = "broke out" if not self.has_held else "held" if self.is_whole else "incomplete"
        return f"{outcome} {datetime.fromtimestamp(self.time_ns / 1e9, UTC).date()}"


def digest_of(name: str, spec: bytes) -> str:
    """Returns the digest of an agent's packages and spec: a trial that held says nothing of any others."""
    return hashlib.sha256(shipped_lock(name).encode() + spec).hexdigest()


def store(name: str, version: str, digest: str, orders: tuple[Order, ...]) -> Trial:
    """Keeps a trial in the place of the last one; raises StorageError."""
    trial = Trial(name, version, digest, time.time_ns(), orders)
    path = _path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(asdict(trial), indent=1).encode())
    return trial


def last_trial(name: str) -> Trial | None:
    """Returns the last trial of an agent; None where there is none. It is read again only where another took its place."""
    try:
        status = _path_of(name).stat()
    except OSError:
        return None
    return _read(_path_of(name), (status.st_ino, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=256)
def _read(path: Path, _identity: tuple[int, int, int]) -> Trial | None:
    try:
        table = json.loads(path.read_bytes())
        return Trial(**{**table, "orders": tuple(map(_order, table["orders"]))})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _order(table: Mapping[str, Any]) -> Order:
    """Returns an order as it was stored; the first trials told by its answer only that it was untried."""
    return Order(**{"is_untried": table["answer"] == UNTRIED, **table})


def _path_of(name: str) -> Path:
    return agents_home() / FOLDER / f"{name}.json"
