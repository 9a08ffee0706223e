"""Announcements of hosts as texts of a multicast DNS service. Pure.

Every machine of the network may announce anything. So each text is read by a narrow pattern, what does not fit is left out, and an
announcement proves nothing: a host proves its name by its certificate when it is dialled.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from servicekit.tls.identity import NAME, is_name

SERVICE = "_conductor-host._tcp.local."
MAX_ADDRESSES = 8
MAX_PORT = 65_535

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,32}")


@dataclass(frozen=True, slots=True, order=True)
class Announcement:
    """An announced host. `fingerprint`: SHA-256 of its certificate, in hexadecimal digits; empty where it serves without TLS."""

    name: str
    addresses: tuple[str, ...]
    pool: str = ""
    fingerprint: str = ""
    version: str = ""


def write_texts(pool: str, fingerprint: str, version: str) -> dict[str, str]:
    """Returns the texts of an announcement, beside name, address and port."""
    return {key: text for key, text in (("pool", pool), ("sha256", fingerprint), ("version", version)) if text}


def read_announcement(
    instance: str, addresses: Iterable[str], port: int | None, texts: Mapping[bytes, bytes | None]
) -> Announcement | None:
    """Reads an announcement; returns None for one that cannot be a host's."""
    name = instance.removesuffix(f".{SERVICE}")
    places = tuple(sorted({_place(text, port) for text in addresses if port and 0 < port <= MAX_PORT} - {""}))
    if not is_name(name) or not places:
        return None
    return Announcement(
        name,
        places[:MAX_ADDRESSES],
        _text(texts, b"pool", NAME),
        _text(texts, b"sha256", _FINGERPRINT),
        _text(texts, b"version", _VERSION),
    )


def _place(address: str, port: int | None) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if "%" in address:  # of one link of one machine
        return ""
    return f"[{found}]:{port}" if found.version == 6 else f"{found}:{port}"


def _text(texts: Mapping[bytes, bytes | None], key: bytes, pattern: re.Pattern[str]) -> str:
    text = (texts.get(key) or b"").decode("ascii", "replace")
    return text if pattern.fullmatch(text) else ""
