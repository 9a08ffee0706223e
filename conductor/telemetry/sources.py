"""Names what the metrics of the present are read off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from conductor.core.model.conductor_state import ConductorState
from conductor.hosts.host_view import HostView


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the present is read. Each is cheap: a value in memory, or the size of a file."""

    state: Callable[[], ConductorState]
    now: Callable[[], float]
    hosts: Callable[[], Iterable[HostView]]
    watchers: Callable[[], int]
    database: Path
    version: str
    role: Callable[[], "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether this conductor is the active one, how long the lease still lasts, and how old is what a standby shows."""

    is_active: bool
    lease_seconds: float = 0.0
    lag_seconds: float = 0.0
