"""Text that is valid UTF-8 and within a size, whatever came in."""

import re

REPLACEMENT = "\ufffd"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without lone surrogates: JSON can spell them, UTF-8 cannot."""
    return _LONE_SURROGATE.sub(REPLACEMENT, text)


def fitting(text: str, max_bytes: int) -> str:
    """The longest beginning of `text` that takes at most `max_bytes` as UTF-8, cut on a character's border."""
    if len(text) * 4 <= max_bytes:
        return text
    encoded = text.encode()
    return text if len(encoded) <= max_bytes else encoded[:max_bytes].decode(errors="ignore")
