"""Makes any text valid UTF-8 and within a size."""

import re

REPLACEMENT = "\ufffd"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Returns the text without lone surrogates: JSON can spell them, UTF-8 cannot."""
    return _LONE_SURROGATE.sub(REPLACEMENT, text)


def plain(text: str) -> str:
    """Returns the text with a question mark for each character that could act on a terminal, or that UTF-8 lacks."""
    return "".join(one if one.isprintable() else "?" for one in text)


def fitting(text: str, max_bytes: int) -> str:
    """Returns the longest beginning of `text` of at most `max_bytes` in UTF-8, cut between characters."""
    if len(text) * 4 <= max_bytes:
        return text
    encoded = text.encode()
    return text if len(encoded) <= max_bytes else encoded[:max_bytes].decode(errors="ignore")
