"""Reads the URL of a git repository, strictly: a text that two programs could read differently is no URL here.

A host is a name in its ASCII form, or an IP address in its usual form. There is no user, password, query, fragment, escape or
`..`: what is left needs no decoding, so the host that is checked is the host that is asked. Pure.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

HTTPS_PORT = 443
MAX_URL_CHARACTERS = 2000
MAX_NAME_CHARACTERS = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AUTHORITY = re.compile(r"(?P<host>\[[^]]*\]|[^:\[\]]*)(?::(?P<port>[^:]*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PATH = re.compile(r"(/[A-Za-z0-9._~+@-]+)+/?")


class UrlError(ValueError):
    """A text is no URL of a repository, or no host. The message says why, without the text."""


@dataclass(frozen=True, slots=True)
class Place:
    """A host, by name or address, and a port. `port` is 0 where none was given."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


@dataclass(frozen=True, slots=True)
class RepositoryUrl:
    """The URL of a repository. `path` begins with a slash."""

    place: Place
    path: str

    @property
    def port(self) -> int:
        """Returns the port to ask."""
        return self.place.port or HTTPS_PORT

    def __str__(self) -> str:
        return f"https://{self.place}{self.path}"


def parse_url(text: str) -> RepositoryUrl:
    """Returns the URL that a text is; raises UrlError."""
    if len(text) > MAX_URL_CHARACTERS:
        raise UrlError(f"has more than {MAX_URL_CHARACTERS} characters")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme != "https":
        raise UrlError("must begin with https://, in small letters: no other protocol is used")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise UrlError("must not hold a user or a password: the operator gives tokens, in [fetch.tokens]")
    place = parse_place(authority)
    if not _PATH.fullmatch(slash + path) or any(part in (".", "..") for part in path.split("/")):
        raise UrlError("must have a path of letters, digits, slashes and . _ ~ + @ -, without '..', '%', '?' and '#'")
    return RepositoryUrl(place, slash + path.rstrip("/"))


def parse_place(text: str) -> Place:
    """Returns the host, and the port where one is given; raises UrlError."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise UrlError("must name a host as NAME, NAME:PORT, ADDRESS or [ADDRESS6]:PORT")
    port = found["port"]
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise UrlError("must have a port from 1 to 65535, without leading zeros")
    return Place(_host(found["host"]), int(port or 0))


def _host(text: str) -> str:
    if text.startswith("["):
        return _address6(text[1:-1])
    if not text.isascii():
        raise UrlError("must have a host name in ASCII: write an international name in its form xn--…")
    name = text.lower()
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # some programs would read it as an address, in other notations than ours
        return _address4(name)
    if len(name) > MAX_NAME_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlError("must have a host name of letters, digits, hyphens and single dots, which ends with no dot")
    return name


def _address4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise UrlError("must have an IPv4 address as four numbers without leading zeros, such as 192.0.2.1") from None


def _address6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        address = None
    if address is None or address.scope_id is not None or address.compressed != text.lower():
        raise UrlError("must have an IPv6 address in its shortest form and without a zone, such as [2001:db8::1]")
    return address.compressed
