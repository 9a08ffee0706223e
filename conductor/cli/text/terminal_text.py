"""Makes text from outside safe for a person's terminal: no escapes, no tricks with direction, nothing invisible.

Agents' output, repository content and server messages all pass here before they are printed for people. JSON output
does not: it escapes by itself, and is for programs.
"""

import re

# ESC sequences first (CSI, OSC and DCS with their bodies), so that "ESC[31m" leaves no "[31m" behind.
_SEQUENCES = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"
    "|\x1b[\\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"
    "|\x9b[0-?]*[ -/]*[@-~]"
    "|\x1b[ -/]*[0-~]?"
)
# C0 but tab and newline, DEL, C1, direction marks, zero-width and line separators, annotations and tags.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Returns text that cannot act on a terminal. Tabs and newlines stay, a carriage return becomes a newline."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSAFE.sub("", _SEQUENCES.sub("", text))


def one_line(text: str, width: int) -> str:
    """Returns printable text on one line of at most `width` characters, cut with an ellipsis."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= width else flat[: max(width - 1, 0)] + "…"
