"""Reads the tables of a conductor's configuration, one function each. What is wrong goes to a list of problems."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from conductor.config.settings import MOST_SECONDS, ROLES, Access, Clocks, Limits, Pushes, Retention
from conductor.config.values import AGES, SIZES, choose, is_folder, quantity_of, read_address, read_folder, read_text
from servicekit.addresses import Address
from servicekit.collectors import Collector, choose_collector
from servicekit.errors import shown, there_are
from servicekit.host_settings import HostSetting, read_host


def split_host(text: str, problems: list[str]) -> tuple[str, str]:
    """Returns name and address of a flag `NAME=ADDRESS`."""
    name, equals, address = text.partition("=")
    if not equals:
        problems.append(f"--host takes NAME=ADDRESS, not '{text}'")
    return name, address


def read_hosts(named: Iterable[tuple[str, object]], problems: list[str]) -> Iterable[HostSetting]:
    """Yields the hosts of flags or of `[hosts]`."""
    seen: set[str] = set()
    for name, address in named:
        host, flaws = read_host(name, address, has_tls=True)  # the caller asks for TLS
        problems += [f"hosts.{name if 'name' not in flaws else shown(name)}: {text}" for text in flaws.values()]
        if name in seen:
            problems.append(f"hosts.{name} is given twice")
        seen.add(name)
        yield host


def read_store(url: str, default_data: Path | None, problems: list[str]) -> tuple[str, str]:
    """Returns the URL of a database that is no file, and the data folder by default: that of a database that is one."""
    usual = str(default_data or "")
    try:
        parts = urlsplit(url)
        has_password = parts.password is not None or "password" in parse_qs(parts.query) or "password=" in url
    except ValueError as error:
        problems.append(f"store is no URL: {error}")
        return "", usual
    if has_password:  # the URL itself is not repeated
        problems.append(
            "store holds a password, which every user of this machine can read in the list of processes: "
            "put it into a file that PGPASSFILE names, or into PGPASSWORD"
        )
    elif parts.scheme == "sqlite":
        folder = unquote(parts.path)
        if parts.netloc or not Path(folder).is_absolute():
            problems.append(f"store must be sqlite:///DIR with the whole path of a folder, not {shown(url)}")
        else:
            usual = folder
    elif parts.scheme in ("postgresql", "postgres"):
        return url, usual
    elif url:
        problems.append(f"store must be postgresql://USER@HOST/DB or sqlite:///DIR, not {shown(url)}")
    return "", usual


def read_roots(roots: Sequence[Path], problems: list[str], *, may_lack: bool) -> Iterable[Path]:
    """Yields the folders that workspaces may be in. With `may_lack` they need not be on this machine."""
    for root in roots:
        path = read_folder("roots", root, problems)
        if not (may_lack or is_folder(path)):
            problems.append(f"roots: '{root}' is not a directory")
        yield path


def read_project(given: Path | str, problems: list[str]) -> Path | None:
    """Returns the folder whose `.conductor/` is read; None where none is given."""
    if not given:
        return None
    path = read_folder("project", given, problems)
    if not is_folder(path):
        problems.append(f"project '{path}' is not a directory")
    return path


def read_limits(table: Mapping[str, Any], problems: list[str]) -> Limits:
    """Reads `[limits]`."""
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


def read_clocks(table: Mapping[str, Any], problems: list[str]) -> Clocks:
    """Reads `[clocks]`."""
    taken: dict[str, float] = {}
    for name, value in table.items():
        if name not in MOST_SECONDS:
            problems.append(f"there is no setting 'clocks.{name}'{there_are(name, MOST_SECONDS)}")
        elif type(value) not in (int, float) or (type(value) is int and abs(value) > sys.maxsize):
            problems.append(f"clocks.{name} must be a number of seconds, not {shown(value)}")
        else:
            taken[name] = float(value)
    clocks = Clocks(**taken)
    problems += clocks.problems()
    return clocks


def read_metrics(flag: str | None, table: Mapping[str, Any], problems: list[str]) -> Address | None:
    """Reads `[metrics]` and its flag; None where nothing is to be served."""
    problems += [f"there is no setting 'metrics.{key}'" for key in sorted(table.keys() - {"listen"})]
    listen = flag or read_text(table, "listen", "", problems)
    return read_address("metrics.listen", listen, problems) if listen else None


def read_traces(table: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]) -> Collector:
    """Reads `[traces]` and the variables of OpenTelemetry."""
    problems += [f"there is no setting 'traces.{key}'" for key in sorted(table.keys() - {"endpoint"})]
    try:
        return choose_collector(read_text(table, "endpoint", "", problems), environment)
    except ValueError as error:
        problems.append(str(error))
        return Collector()


def read_access(table: Mapping[str, Any], problems: list[str]) -> Access:
    """Reads `[access]`."""
    problems += [f"there is no setting 'access.{key}'" for key in sorted(table.keys() - {"loopback_role"})]
    if "loopback_role" not in table:
        return Access()
    return Access(choose("access.loopback_role", table["loopback_role"], ROLES, problems))


def read_retention(table: Mapping[str, Any], problems: list[str]) -> Retention:
    """Reads `[retention]`."""
    problems += [f"there is no setting 'retention.{key}'" for key in sorted(table.keys() - {"max_age", "max_bytes"})]
    return Retention(
        max_age_seconds=quantity_of("retention.max_age", table, AGES, problems),
        max_bytes=quantity_of("retention.max_bytes", table, SIZES, problems),
    )


def read_pushes(table: Mapping[str, Any], problems: list[str]) -> Pushes:
    """Reads `[pushes]`."""
    known = {"caller_bytes": SIZES, "total_bytes": SIZES, "keep": AGES}
    problems += [f"there is no setting 'pushes.{key}'{there_are(key, known)}" for key in sorted(table.keys() - known)]
    given = {name: quantity_of(f"pushes.{name}", table, units, problems) for name, units in known.items()}
    default = Pushes()
    return Pushes(
        caller_bytes=given["caller_bytes"] or default.caller_bytes,
        total_bytes=given["total_bytes"] or default.total_bytes,
        keep_seconds=given["keep"] or default.keep_seconds,
    )
