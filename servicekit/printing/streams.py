"""Readies stdout, stderr and the arguments of a command: printing never raises for a character, and every argument is text."""

import codecs
import os
import sys
from collections.abc import Sequence

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
    codecs.register_error(_HANDLER, _printed)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def _printed(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one) or escaped(one) for one in lacking), error.end


def text_arguments(given: Sequence[str]) -> list[str]:
    """Returns the arguments as text; raises ValueError, with a sentence, for one whose bytes are not UTF-8."""
    return [as_text(argument, f"argument {number}") for number, argument in enumerate(given, 1)]


def as_text(given: str, name: str) -> str:
    """Returns a string from the command line or the environment as text; raises ValueError where its bytes are not UTF-8.

    Python keeps bytes that its locale cannot decode as surrogates; in a locale without UTF-8 these may well be UTF-8.
    """
    try:
        given.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(given).decode()
        except UnicodeError:
            raise ValueError(f"{name}, '{given}', is not UTF-8; give it as UTF-8") from None
    return given
