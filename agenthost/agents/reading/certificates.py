"""Reads until when certificates are valid, out of their PEM text: their DER is searched for its two times, and not parsed."""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]{200,20000}?)-----END CERTIFICATE-----")
# UTCTime has two digits for the year, GeneralizedTime four.
_TIME = rb"(?:\x17\x0d(\d{12})|\x18\x0f(\d{14}))Z"
_VALIDITY = re.compile(_TIME + _TIME)


def read_ends(text: str) -> Iterator[tuple[int, datetime]]:
    """Yields where each certificate of a file begins, as a line, and when it ends."""
    for block in _BLOCK.finditer(text):
        try:
            found = _VALIDITY.search(base64.b64decode(block[1]))
            if found:
                yield text.count("\n", 0, block.start()) + 1, _moment(found)
        except (binascii.Error, ValueError):
            continue


def _moment(found: re.Match[bytes]) -> datetime:
    written = found[4] or (b"20" if found[3] < b"5" else b"19") + found[3]
    return datetime.strptime(written.decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
