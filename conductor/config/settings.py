"""The settings of a conductor, with their defaults. Every limit that an operator may change has its name here."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from servicekit.addresses import Address
from servicekit.collectors import Collector
from servicekit.fetching.settings import FetchSettings
from servicekit.host_settings import HostSetting
from servicekit.tls.settings import TlsSettings

SNAPSHOTS_FOLDER, PUSHED_FOLDER, FETCHED_FOLDER = "snapshots", "pushed", "fetched"  # in the data folder
LOG_FORMATS = ("plain", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
ROLES = ("viewer", "operator", "admin")
DAY_SECONDS = 24 * 3600.0
# From the end of an agent's lease to its certain end: SIGTERM from its shim (2 s), and 10 s for a machine that slept.
LEASE_MARGIN_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service. Each may be set in `[limits]`, from 1 to ten thousand times its default."""

    unfinished_runs: int = 200
    attempts_at_once: int = 2000
    attempts_per_run: int = 1000
    hosts: int = 100
    creations_at_once: int = 4
    snapshots_bytes: int = 20 * 1024**3
    silence_seconds: int = 6
    progress_seconds: int = 5
    start_seconds: int = 60
    stop_seconds: int = 10
    lease_seconds: int = 10


@dataclass(frozen=True, slots=True)
class Clocks:
    """The durations for flows that set none, in seconds. Each may be set in `[clocks]`; see `AgentWork`."""

    queue_timeout_seconds: float = 12 * 3600.0
    first_output_timeout_seconds: float = 600.0
    idle_timeout_seconds: float = 600.0
    step_timeout_seconds: float = 1800.0
    run_timeout_seconds: float = DAY_SECONDS
    orphan_timeout_seconds: float = 600.0
    lost_after_seconds: float = 720.0

    def problems(self) -> Iterable[str]:
        """Returns what is wrong with these values."""
        for name, most in MOST_SECONDS.items():
            if not 0 < getattr(self, name) <= most:
                yield f"clocks.{name} must be more than 0 and at most {most:.10g}, not {getattr(self, name):.10g}"
        least = self.orphan_timeout_seconds + LEASE_MARGIN_SECONDS
        if self.lost_after_seconds < least:
            yield (
                f"clocks.lost_after_seconds is {self.lost_after_seconds:g}, but agents live {self.orphan_timeout_seconds:g} s "
                f"without their conductor (clocks.orphan_timeout_seconds) and take up to {LEASE_MARGIN_SECONDS:g} s to end. "
                f"Set it to at least {least:g}, or two attempts of one step would run at once"
            )


MOST_SECONDS = {
    "queue_timeout_seconds": 30 * DAY_SECONDS,
    "first_output_timeout_seconds": DAY_SECONDS,
    "idle_timeout_seconds": DAY_SECONDS,
    "step_timeout_seconds": DAY_SECONDS,
    "run_timeout_seconds": 30 * DAY_SECONDS,
    "orphan_timeout_seconds": 3600.0,
    "lost_after_seconds": DAY_SECONDS,
}


@dataclass(frozen=True, slots=True)
class Retention:
    """Which settled runs are deleted: older ones, and the oldest of a database that holds more. 0 is no limit."""

    max_age_seconds: int = 0
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Pushes:
    """The limits of snapshots that callers push: bytes on the disk of each caller and of all, and how long they are kept unused."""

    caller_bytes: int = 8 * 1024**3
    total_bytes: int = 64 * 1024**3
    keep_seconds: int = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Access:
    """The role of callers over loopback without a token. Empty: admin until there are tokens, then viewer."""

    loopback_role: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Empty `roots`: every folder that the service can read (it then listens on this machine only)."""

    listen: Address
    data: Path
    store: str = ""  # URL of a PostgreSQL database, which conductors share; empty: SQLite in the data folder
    blobs: str = (
        ""  # where the copies of runs' snapshots lie; empty: in the store, where conductors share it, else nowhere
    )
    shared_data: bool = False  # every machine has the folder of `blobs`
    hosts: tuple[HostSetting, ...] = ()
    roots: tuple[Path, ...] = ()
    project: Path | None = None
    log_format: str = "plain"
    log_level: str = "info"
    limits: Limits = field(default_factory=Limits)
    clocks: Clocks = field(default_factory=Clocks)
    retention: Retention = field(default_factory=Retention)
    metrics: Address | None = None  # where Prometheus reads; None serves no metrics
    tls: TlsSettings = field(default_factory=TlsSettings)
    pushes: Pushes = field(default_factory=Pushes)
    traces: Collector = field(default_factory=Collector)
    access: Access = field(default_factory=Access)
    fetch: FetchSettings = field(default_factory=FetchSettings)

    def shown(self) -> dict[str, str]:
        """Returns the settings in force by name, for people. None of them is a secret; a secret must not be added here."""
        shown = {
            "listen": self.listen.text,
            "data": readable(self.data),
            "store": self.store or "(SQLite in the data folder)",
            "blobs": self.blobs or ("database" if self.store else "(the data folder alone)"),
            "roots": os.pathsep.join(map(readable, self.roots)) or "(every folder that the service can read)",
            "project": readable(self.project) if self.project else "",
            "logs.format": self.log_format,
            "logs.level": self.log_level,
            "metrics.listen": self.metrics.text if self.metrics else "",
            "tls.cert": readable(self.tls.serving.certificate) if self.tls.serving else "",
            "traces.endpoint": self.traces.endpoint,
            "access.loopback_role": self.access.loopback_role or "(admin until there are tokens, then viewer)",
            "retention.max_age": f"{self.retention.max_age_seconds / 86_400:g}d"
            if self.retention.max_age_seconds
            else "",
            "retention.max_bytes": str(self.retention.max_bytes or ""),
            "fetch.hosts": str(self.fetch.hosts) or "(nothing is fetched)",
            "fetch.max_bytes": str(self.fetch.max_bytes),
            "fetch.max_seconds": str(self.fetch.max_seconds),
            "pushes.caller_bytes": str(self.pushes.caller_bytes),
            "pushes.total_bytes": str(self.pushes.total_bytes),
            "pushes.keep": f"{self.pushes.keep_seconds / 86_400:g}d",
        }
        shown |= {f"hosts.{host.name}": host.address for host in self.hosts}
        shown |= {f"limits.{each.name}": str(getattr(self.limits, each.name)) for each in fields(Limits)}
        return shown | {f"clocks.{each.name}": f"{getattr(self.clocks, each.name):g}" for each in fields(Clocks)}


def readable(path: Path) -> str:
    """Returns a path as text, also one of odd bytes: a message of the API is UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")
