"""Masks a secret in bytes that pass, also across a cut. As many bytes go out as came in, so lengths stay true.

Only an end that may be the secret's beginning is held back: tokens pass at once. A header's value is masked as a whole. Endpoints
echo a key as they write their answers, so its escaped forms (JSON, URL, HTML) are masked as well. A secret that is a number is
masked by digits, since stars would break the JSON of an answer that happens to count as far. A value too short for a secret, as the
"EMPTY" that some servers want for a key, is not masked: it would hide words.
"""

import html
import json
import re
from urllib.parse import quote

LEAST_BYTES = 12
_NUMBER = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DIGIT = re.compile(rb"[0-9]")
_URL_CODE = re.compile("%..")
# Signs that writers of JSON escape beyond what they must, and how: none, PHP, Go, .NET.
_JSON_MANNERS = (
    ("", ""),
    ("/", "\\{1}"),
    ("<>&", "\\u{0:04x}"),
    ("<>&+'\"`", "\\u{0:04X}"),
)


def mask_whole(secret: str, data: bytes) -> bytes:
    """Returns bytes that are all there without the secret."""
    mask = KeyMask(secret.encode())
    return mask.feed(data) + mask.finish()


class KeyMask:
    """Masks one secret in one stream."""

    def __init__(self, secret: bytes) -> None:
        self._forms = _forms_of(secret) if len(secret) >= LEAST_BYTES else ()
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms)))
        self._digit = (b"9" if set(secret) <= set(b"1") else b"1") if _NUMBER.fullmatch(secret) else b""
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Returns the bytes that are certain by now."""
        if not self._forms:
            return data
        text, certain, end = self._held + data, b"", 0
        for found in self._pattern.finditer(text):
            certain += text[end : found.start()] + self._masked(found[0])
            end = found.end()
        left = text[end:] if end else text
        size = max(_beginning_at_the_end(form, left) for form in self._forms)
        self._held = left[len(left) - size :]
        return certain + left[: len(left) - size]

    def finish(self) -> bytes:
        """Returns the rest, which was no secret."""
        held, self._held = self._held, b""
        return held

    def _masked(self, form: bytes) -> bytes:
        return _DIGIT.sub(self._digit, form) if self._digit else b"*" * len(form)


def _forms_of(secret: bytes) -> tuple[bytes, ...]:
    """Returns the ways in which a secret may stand in an answer, the longest first."""
    text = secret.decode("latin-1")
    forms = {text, html.escape(text), html.escape(text, quote=False)}
    forms |= {_in_json(text, *manner) for manner in _JSON_MANNERS}
    for in_url in (quote(text), quote(text, safe="")):
        forms |= {in_url, _URL_CODE.sub(lambda code: code[0].lower(), in_url)}
    return tuple(sorted((form.encode("latin-1") for form in forms), key=lambda form: (-len(form), form)))


def _in_json(text: str, signs: str, code: str) -> str:
    return "".join(code.format(ord(sign), sign) if sign in signs else json.dumps(sign)[1:-1] for sign in text)


def _beginning_at_the_end(form: bytes, text: bytes) -> int:
    longest = min(len(form) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(form[:size])), 0)
