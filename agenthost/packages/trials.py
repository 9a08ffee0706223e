"""Keeps what the last trial of each agent showed, so that a list can tell it and a host can refuse an agent that broke out."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from agenthost.packages.prefix import agents_home, shipped_lock

FOLDER = ".trials"


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the model: what the agent answered to it, and whether anything came of it outside of the sandbox."""

    name: str
    answer: str
    has_held: bool


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


def digest_of(name: str, spec: Path) -> str:
    """Returns the digest of an agent's packages and spec: a trial says nothing of any others."""
    return hashlib.sha256(shipped_lock(name).encode() + spec.read_bytes()).hexdigest()


def store(name: str, version: str, spec: Path, orders: tuple[Order, ...]) -> Trial:
    """Keeps a trial in the place of the last one."""
    trial = Trial(name, version, digest_of(name, spec), time.time_ns(), orders)
    path = agents_home() / FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(asdict(trial), indent=1))
    fresh.replace(path)
    return trial


def last_trial(name: str, spec: Path) -> Trial | None:
    """Returns the last trial of an agent as it is now; None where there is none."""
    try:
        table = json.loads((agents_home() / FOLDER / f"{name}.json").read_bytes())
        trial = Trial(**{**table, "orders": tuple(Order(**order) for order in table["orders"])})
        return trial if trial.digest == digest_of(name, spec) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
