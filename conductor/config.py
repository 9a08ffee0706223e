"""The settings of a conductor: flags over a TOML file over defaults, validated as a whole before anything starts.

Every limit that an operator may change has its name here. Reads files and environment for nothing else; starts nothing.

    listen = "unix:/run/conductor.sock"      roots = ["/src"]      project = "/src/mine"
    [hosts]      alpha = "unix:/run/alpha.sock"
    [logs]       format = "json"             level = "info"
    [limits]     unfinished_runs = 200
    [clocks]     run_timeout_seconds = 86400
    [metrics]    listen = "127.0.0.1:9464"
    [tls]        cert = "server.pem"         key = "server-key.pem"      ca = "ca.pem"     # else DATA/tls, where that exists
    [traces]     endpoint = "http://127.0.0.1:4317"                # of a collector, over gRPC
    [retention]  max_age = "90d"             max_bytes = "20GiB"     # nothing is deleted where neither is given
    [pushes]     caller_bytes = "8GiB"       total_bytes = "64GiB"   keep = "7d"
    [fetch]      hosts = ["git.example.org"]   max_bytes = "1GiB"   max_seconds = 300   ca = "lan.pem"   # nothing without hosts
    [access]     loopback_role = "viewer"    # of callers without a token; by default admin until there are tokens, then viewer
"""

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from conductor.errors import ConfigurationError
from servicekit.addresses import Address, AddressError
from servicekit.collectors import Collector, choose_collector
from servicekit.errors import shown, there_are
from servicekit.fetching.settings import FetchSettings, read_fetch
from servicekit.host_settings import HostSetting, read_host
from servicekit.tls.settings import TlsSettingError, TlsSettings, read_tls

SNAPSHOTS_FOLDER, PUSHED_FOLDER, FETCHED_FOLDER = "snapshots", "pushed", "fetched"  # in the data folder
LOG_FORMATS = ("plain", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
ROLES = ("viewer", "operator", "admin")
_KEYS = frozenset(
    {
        *("listen", "data", "roots", "project", "hosts", "logs", "limits", "clocks", "retention"),
        *("metrics", "traces", "tls", "pushes", "access", "fetch"),
    }
)
DAY_SECONDS = 24 * 3600.0
# From the end of an agent's lease to its certain end: SIGTERM from its shim (2 s), and 10 s for a machine that slept.
LEASE_MARGIN_SECONDS = 12.0
_QUANTITY = re.compile(r"(?P<number>[0-9]{1,15}) ?(?P<unit>[A-Za-z]*)")
AGES = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service. Each may be set in `[limits]`, from 1 to ten thousand times its default."""

    unfinished_runs: int = 200
    attempts_at_once: int = 2000
    attempts_per_run: int = 1000
    hosts: int = 100
    creations_at_once: int = 4
    silence_seconds: int = 6
    progress_seconds: int = 5
    stop_seconds: int = 10


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
        for name, most in _MOST_SECONDS.items():
            if not 0 < getattr(self, name) <= most:
                yield f"clocks.{name} must be more than 0 and at most {most:.10g}, not {getattr(self, name):.10g}"
        least = self.orphan_timeout_seconds + LEASE_MARGIN_SECONDS
        if self.lost_after_seconds < least:
            yield (
                f"clocks.lost_after_seconds is {self.lost_after_seconds:g}, but agents live {self.orphan_timeout_seconds:g} s "
                f"without their conductor (clocks.orphan_timeout_seconds) and take up to {LEASE_MARGIN_SECONDS:g} s to end. "
                f"Set it to at least {least:g}, or two attempts of one step would run at once"
            )


_MOST_SECONDS = {
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
            "data": _readable(self.data),
            "roots": os.pathsep.join(map(_readable, self.roots)) or "(every folder that the service can read)",
            "project": _readable(self.project) if self.project else "",
            "logs.format": self.log_format,
            "logs.level": self.log_level,
            "metrics.listen": self.metrics.text if self.metrics else "",
            "tls.cert": _readable(self.tls.serving.certificate) if self.tls.serving else "",
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


def _readable(path: Path) -> str:
    """Returns a path as text, whatever bytes it has: a message of the API is UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def load(
    *,
    default_listen: str,
    default_data: Path | None,
    listen: str | None = None,
    data: Path | None = None,
    config: Path | None = None,
    hosts: Sequence[str] = (),
    roots: Sequence[Path] = (),
    project: Path | None = None,
    metrics: str | None = None,
    tls: Mapping[str, Path | None] | None = None,
    allow_fetch: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Makes the settings of flags and file; a flag overrides its key in the file.

    `default_data` is None for a user without a home. Raises ConfigurationError, which names every problem at once.
    """
    problems: list[str] = []
    document = _read(config, problems)
    known = sorted(_KEYS)
    problems += [f"there is no setting '{key}'{there_are(key, known)}" for key in sorted(document.keys() - _KEYS)]
    logs = _table(document, "logs", problems)
    named = [_split_host(text, problems) for text in hosts] or list(_table(document, "hosts", problems).items())
    folder = _folder("data", data or _text(document, "data", str(default_data or ""), problems), problems)
    found_tls = _tls(document.get("tls", {}), tls or {}, folder, problems)
    settings = Settings(
        listen=_address("listen", listen or _text(document, "listen", default_listen, problems), problems),
        data=folder,
        hosts=tuple(_hosts(named, problems)),
        roots=tuple(_roots(roots or _paths(document, "roots", problems), problems)),
        project=_project(project or _text(document, "project", "", problems), problems),
        log_format=_choice("logs.format", logs.get("format", "plain"), LOG_FORMATS, problems),
        log_level=_choice("logs.level", logs.get("level", "info"), LOG_LEVELS, problems),
        limits=_limits(_table(document, "limits", problems), problems),
        clocks=_clocks(_table(document, "clocks", problems), problems),
        retention=_retention(_table(document, "retention", problems), problems),
        metrics=_metrics(metrics, _table(document, "metrics", problems), problems),
        tls=found_tls or TlsSettings(),
        pushes=_pushes(_table(document, "pushes", problems), problems),
        traces=_traces(_table(document, "traces", problems), environment, problems),
        access=_access(_table(document, "access", problems), problems),
        fetch=read_fetch(_table(document, "fetch", problems), allow_fetch, environment, problems),
    )
    if (given := len(settings.hosts)) > settings.limits.hosts:
        problems.append(
            f"hosts: there are {given}, and limits.hosts is {settings.limits.hosts}: set it higher, or name fewer"
        )
    if default_data is None and not data and not document.get("data"):
        problems.append("'data' is not set, and this user has no home folder: give --data DIR")
    problems += [f"there is no setting 'logs.{key}'" for key in sorted(logs.keys() - {"format", "level"})]
    hints = [f"see {config}"] if problems and config else []
    bare = [] if found_tls is None else list(_bare_addresses(settings))
    if problems or bare:
        hints += _make_certificates(settings) if bare else []
        raise ConfigurationError("; ".join([*problems, *bare]), hint="\n".join(hints))
    return settings


def _make_certificates(settings: Settings) -> tuple[str, str]:
    """Returns the two commands that mend an address without TLS."""
    data = shlex.quote(_readable(settings.data))
    return (
        f"make the pool's certificates:  conductor certs init --data {data} --address ADDRESS",
        f"then start it again with them: conductor serve --data {data} --listen {settings.listen.text}",
    )


def _bare_addresses(settings: Settings) -> Iterable[str]:
    """Returns what is wrong with addresses that other machines reach: they need TLS."""
    tls, metrics = settings.tls, settings.metrics or Address("")
    for name, address in (("listen", settings.listen), ("metrics.listen", metrics)):
        if address.text and not address.is_local and not tls.serves(address):
            yield f"{name}: '{address.text}' reaches beyond this machine, which needs TLS, and there are no certificates"
    for host in settings.hosts:
        flaws = read_host(host.name, host.address, has_tls=tls.calling is not None)[1] if host.address else {}
        if flaw := flaws.get("tls"):
            yield f"hosts.{host.name}: {flaw}"


def _tls(table: object, flags: Mapping[str, Path | None], data: Path, problems: list[str]) -> TlsSettings | None:
    try:
        return read_tls(table, flags, data)
    except TlsSettingError as error:
        problems.append(str(error))
        return None


def _read(path: Path | None, problems: list[str]) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"cannot read {path}: {error}")
        return {}


def _text(document: Mapping[str, Any], key: str, default: str, problems: list[str]) -> str:
    given = document.get(key, default)
    if isinstance(given, str) and "\0" not in given and (given or not default):
        return given
    problems.append(f"'{key}' must be a text, not {shown(given)}")
    return default


def _table(document: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    table = document.get(key, {})
    if isinstance(table, Mapping):
        return table
    problems.append(f"'{key}' must be a table, not {shown(table)}")
    return {}


def _paths(document: Mapping[str, Any], key: str, problems: list[str]) -> Sequence[Path]:
    given = document.get(key, [])
    if isinstance(given, list) and all(isinstance(each, str) and each and "\0" not in each for each in given):
        return [Path(each) for each in given]
    problems.append(f"'{key}' must be a list of paths, not {shown(given)}")
    return []


def _address(name: str, text: str, problems: list[str]) -> Address:
    """Returns an address to serve, wherever it is: `_bare_addresses` asks for TLS."""
    try:
        return Address.parse(text, is_anywhere=True)
    except AddressError as error:
        problems.append(f"{name}: {error}")
        return Address("")


def _split_host(text: str, problems: list[str]) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals:
        problems.append(f"--host takes NAME=ADDRESS, not '{text}'")
    return name, address


def _hosts(named: Iterable[tuple[str, object]], problems: list[str]) -> Iterable[HostSetting]:
    seen: set[str] = set()
    for name, address in named:
        host, flaws = read_host(name, address, has_tls=True)  # `_bare_addresses` asks for TLS
        problems += [f"hosts.{name if 'name' not in flaws else shown(name)}: {text}" for text in flaws.values()]
        if name in seen:
            problems.append(f"hosts.{name} is given twice")
        seen.add(name)
        yield host


def _roots(roots: Sequence[Path], problems: list[str]) -> Iterable[Path]:
    for root in roots:
        path = _folder("roots", root, problems)
        if not _is_folder(path):
            problems.append(f"roots: '{root}' is not a directory")
        yield path


def _folder(name: str, given: Path | str, problems: list[str]) -> Path:
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError:
        problems.append(f"'{name}' is {shown(str(given))}, and there is no such home folder: give the whole path")
        return Path(given).absolute()


def _project(given: Path | str, problems: list[str]) -> Path | None:
    if not given:
        return None
    path = _folder("project", given, problems)
    if not _is_folder(path):
        problems.append(f"project '{path}' is not a directory")
    return path


_is_folder = os.path.isdir  # Path.is_dir raises for a name that is too long


def _choice(name: str, given: object, known: Sequence[str], problems: list[str]) -> str:
    if given in known:
        return str(given)
    problems.append(f"{name} must be one of {', '.join(known)}, not {shown(given)}")
    return known[0]


def _limits(table: Mapping[str, Any], problems: list[str]) -> Limits:
    known = {each.name: each.default for each in fields(Limits)}
    taken: dict[str, int] = {}
    for name, value in table.items():
        default = known.get(name)
        if not isinstance(default, int):
            problems.append(f"there is no setting 'limits.{name}'{there_are(name, known)}")
        elif type(value) is not int or not 1 <= value <= default * 10_000:
            problems.append(f"limits.{name} must be a whole number from 1 to {default * 10_000}, not {shown(value)}")
        else:
            taken[name] = value
    return Limits(**taken)


def _clocks(table: Mapping[str, Any], problems: list[str]) -> Clocks:
    taken: dict[str, float] = {}
    for name, value in table.items():
        if name not in _MOST_SECONDS:
            problems.append(f"there is no setting 'clocks.{name}'{there_are(name, _MOST_SECONDS)}")
        elif type(value) not in (int, float) or (type(value) is int and abs(value) > sys.maxsize):
            problems.append(f"clocks.{name} must be a number of seconds, not {shown(value)}")
        else:
            taken[name] = float(value)
    clocks = Clocks(**taken)
    problems += clocks.problems()
    return clocks


def _metrics(flag: str | None, table: Mapping[str, Any], problems: list[str]) -> Address | None:
    problems += [f"there is no setting 'metrics.{key}'" for key in sorted(table.keys() - {"listen"})]
    listen = flag or _text(table, "listen", "", problems)
    return _address("metrics.listen", listen, problems) if listen else None


def _traces(table: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]) -> Collector:
    problems += [f"there is no setting 'traces.{key}'" for key in sorted(table.keys() - {"endpoint"})]
    try:
        return choose_collector(_text(table, "endpoint", "", problems), environment)
    except ValueError as error:
        problems.append(str(error))
        return Collector()


def _access(table: Mapping[str, Any], problems: list[str]) -> Access:
    problems += [f"there is no setting 'access.{key}'" for key in sorted(table.keys() - {"loopback_role"})]
    if "loopback_role" not in table:
        return Access()
    return Access(_choice("access.loopback_role", table["loopback_role"], ROLES, problems))


def _retention(table: Mapping[str, Any], problems: list[str]) -> Retention:
    problems += [f"there is no setting 'retention.{key}'" for key in sorted(table.keys() - {"max_age", "max_bytes"})]
    return Retention(
        max_age_seconds=_quantity("retention.max_age", table, AGES, problems),
        max_bytes=_quantity("retention.max_bytes", table, SIZES, problems),
    )


def _pushes(table: Mapping[str, Any], problems: list[str]) -> Pushes:
    known = {"caller_bytes": SIZES, "total_bytes": SIZES, "keep": AGES}
    problems += [f"there is no setting 'pushes.{key}'{there_are(key, known)}" for key in sorted(table.keys() - known)]
    given = {name: _quantity(f"pushes.{name}", table, units, problems) for name, units in known.items()}
    default = Pushes()
    return Pushes(
        caller_bytes=given["caller_bytes"] or default.caller_bytes,
        total_bytes=given["total_bytes"] or default.total_bytes,
        keep_seconds=given["keep"] or default.keep_seconds,
    )


def _quantity(name: str, table: Mapping[str, Any], units: Mapping[str, int], problems: list[str]) -> int:
    given = table.get(name.partition(".")[2])
    if given is None:
        return 0
    try:
        return read_quantity(given if isinstance(given, str) else shown(given), units)
    except ValueError as error:
        problems.append(f"{name} {error}")
        return 0


def read_quantity(given: str, units: Mapping[str, int]) -> int:
    """Returns `90d` in seconds or `20GiB` in bytes. ValueError says what is expected."""
    read = _QUANTITY.fullmatch(given)
    if read is None or read["unit"] not in units:
        raise ValueError(f"must be a whole number with a unit of {', '.join(units)}, not '{given}'")
    if not int(read["number"]):
        raise ValueError(f"must be at least 1, not '{given}'")
    return int(read["number"]) * units[read["unit"]]
