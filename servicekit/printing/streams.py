"""Readies stdout, stderr and the arguments of a command: printing never raises for a character, and every argument is text."""

import codecs
import sys
from collections.abc import Sequence
from typing import TextIO

from servicekit.printing.terminal_text import escaped

# Our own glyphs where the terminal's encoding has none; every other character is escaped.
_PLAIN = {
    "✔": "+",
    "✘": "x",
    "…": "...",
    "│": "|",
    "▸": ">",
    "●": "*",
    "◌": "o",
    "○": "o",
    "·": ".",
    "↷": ">",
    "■": "#",
}
_HANDLER = "printed"


def ready_streams() -> None:
    """Lets stdout and stderr take every character, whatever the locale or PYTHONIOENCODING says."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def is_utf8(stream: TextIO) -> bool:
    """Returns whether a stream takes UTF-8."""
    return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"


def taken(text: str, stream: TextIO) -> str:
    """Returns text as the stream will print it: what its encoding lacks is longer than what it stands for."""
    if is_utf8(stream):
        return text
    return text.encode(stream.encoding, _HANDLER).decode(stream.encoding)


def _printed(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one) or escaped(one) for one in lacking), error.end


def text_arguments(given: Sequence[str]) -> list[str]:
    """Returns the arguments as text; raises ValueError, with a sentence, for one whose bytes are not UTF-8."""
    return [as_text(argument, f"argument {number}") for number, argument in enumerate(given, 1)]


def as_text(given: str, name: str) -> str:
    """Returns a string from the command line or the environment; raises ValueError for bytes that this locale cannot decode."""
    try:
        given.encode()
    except UnicodeEncodeError:  # Python keeps such bytes as surrogates
        encoding = sys.getfilesystemencoding()
        advice = "give it as UTF-8" if encoding == "utf-8" else "use a locale of UTF-8, as LC_ALL=C.UTF-8"
        raise ValueError(f"{name}, '{given}', is not text in {encoding.upper()}; {advice}") from None
    return given


codecs.register_error(_HANDLER, _printed)
