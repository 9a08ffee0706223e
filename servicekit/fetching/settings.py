"""The settings of fetching repositories."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servicekit.errors import shown, there_are
from servicekit.fetching.allowed_hosts import AllowedHosts, parse_allowed
from servicekit.fetching.urls import UrlError

SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
MAX_BYTES = 4 * 1024**3
MAX_SECONDS = 3600
MAX_AT_ONCE = 16
DEFAULT_BYTES = 1024**3
_SIZE = re.compile("([0-9]{1,12}) ?(B|KiB|MiB|GiB)")


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Where repositories may be fetched from, and the limits of one fetch.

    `ca` is a file of certificates that are trusted beside the system's. `tokens` are secrets by host; they are never shown.
    """

    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    max_bytes: int = DEFAULT_BYTES
    max_seconds: int = 300
    at_once: int = 4
    ca: Path | None = None
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_fetch(
    table: Mapping[str, Any], allowed: Sequence[str], environment: Mapping[str, str], problems: list[str]
) -> FetchSettings:
    """Reads the table `fetch`; hosts of the command line win over its own. Adds what is wrong to the problems."""
    known = ("hosts", "max_bytes", "max_seconds", "at_once", "ca", "tokens")
    problems += [f"there is no setting 'fetch.{key}'{there_are(key, known)}" for key in sorted(table.keys() - {*known})]
    default = FetchSettings()
    return FetchSettings(
        hosts=_hosts(allowed or table.get("hosts", ()), problems),
        max_bytes=_bytes(table.get("max_bytes", f"{default.max_bytes}B"), problems),
        max_seconds=_number("max_seconds", table.get("max_seconds", default.max_seconds), MAX_SECONDS, problems),
        at_once=_number("at_once", table.get("at_once", default.at_once), MAX_AT_ONCE, problems),
        ca=_ca(table.get("ca", ""), problems),
        tokens=_tokens(table.get("tokens", {}), environment, problems),
    )


def _hosts(given: object, problems: list[str]) -> AllowedHosts:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(each, str) for each in given):
        problems.append(f"fetch.hosts must be a list of hosts, not {shown(given)}")
        return AllowedHosts()
    try:
        return parse_allowed(given)
    except UrlError as error:
        problems.append(f"fetch.hosts (--allow-fetch): {error}")
        return AllowedHosts()


def _bytes(given: object, problems: list[str]) -> int:
    read = _SIZE.fullmatch(given) if isinstance(given, str) else None
    if read is None or not 0 < int(read[1]) * SIZES[read[2]] <= MAX_BYTES:
        problems.append(
            f"fetch.max_bytes must be a whole number with a unit of {', '.join(SIZES)}, at most 4GiB, not {shown(given)}"
        )
        return DEFAULT_BYTES
    return int(read[1]) * SIZES[read[2]]


def _number(name: str, given: object, most: int, problems: list[str]) -> int:
    if type(given) is int and 1 <= given <= most:
        return given
    problems.append(f"fetch.{name} must be a whole number from 1 to {most}, not {shown(given)}")
    return 1


def _ca(given: object, problems: list[str]) -> Path | None:
    if not given:
        return None
    path = Path(given).expanduser().absolute() if isinstance(given, str) and "\0" not in given else None
    if path is None or not path.is_file():
        problems.append(f"fetch.ca must be a file of certificates, not {shown(given)}")
    return path


def _tokens(given: object, environment: Mapping[str, str], problems: list[str]) -> Mapping[str, str]:
    """Returns the headers that give each host its token."""
    if not isinstance(given, Mapping):
        problems.append('fetch.tokens must be a table of hosts, each with "env:NAME"')
        return {}
    headers = {}
    for host, source in given.items():
        name = source.removeprefix("env:") if isinstance(source, str) and source.startswith("env:") else ""
        if not name:
            problems.append(f'fetch.tokens: {shown(host)} must have "env:NAME", the variable that holds its token')
        elif not (token := environment.get(name, "").strip()):
            problems.append(f"fetch.tokens: the variable {name} for {shown(host)} is not set")
        else:
            headers[host.lower()] = _basic(token)
    return headers


def _basic(token: str) -> str:
    """Returns the header for a token: of the form USER:PASSWORD, or alone, for servers that take any user."""
    pair = token if ":" in token else f"x-access-token:{token}"
    return f"Basic {b64encode(pair.encode()).decode()}"
