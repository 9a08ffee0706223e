"""Tokens: their form, and what is kept of one.

A token is `cdr_`, 43 characters that stand for 256 random bits, and 6 for their checksum, so that a mistyped one is known
without a look at the store, and masks of secrets know any. Only its SHA-256 is kept: 256 random bits need no salt.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass

HEAD = "cdr_"
RANDOM_BYTES = 32
MOST_TOKENS = 1_000
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS, _CHECK_CHARACTERS = 43, 6
_FORM = re.compile(rf"{HEAD}[0-9A-Za-z]{{{_RANDOM_CHARACTERS + _CHECK_CHARACTERS}}}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept. Times are 0 where it was never used, and where it is not revoked."""

    digest: str
    name: str
    role: str
    create_time: float
    created_by: str
    use_time: float = 0.0
    revoke_time: float = 0.0
    revoked_by: str = ""


def make_token(random: bytes) -> str:
    """Returns the token of 32 random bytes."""
    body = _spelled(int.from_bytes(random), _RANDOM_CHARACTERS)
    return f"{HEAD}{body}{_checksum(body)}"


def is_token(text: str) -> bool:
    """Returns whether a text has the form of a token, its checksum included."""
    return _FORM.fullmatch(text) is not None and text.endswith(_checksum(text[len(HEAD) : -_CHECK_CHARACTERS]))


def digest_of_token(token: str) -> str:
    """Returns what is kept of a token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _spelled(zlib.crc32(body.encode()), _CHECK_CHARACTERS)


def _spelled(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
