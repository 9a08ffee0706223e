"""Doubts results about JavaScript by the lines that they stand in: assertions of chai, hooks, and what is thrown."""

import re
from collections.abc import Callable, Mapping

from ..results import Result
from .calls import end_of_call

MAX_CHARACTERS = 2000  # of the lines that are looked at
LINES = 4  # of a chain
# After `expect(…)`, the words of chai's chains begin otherwise than Jest's matchers, and the last of them asserts without a call.
_CHAI = re.compile(r"\s*\.\s*(?:not\s*\.\s*)?(?!to[A-Z]|not\b|resolves\b|rejects\b)[A-Za-z]")
_TEXT_THROWN = re.compile(r"\bthrow\s*\(*\s*[\"'`]")


def _is_of_chai(result: Result, content: bytes) -> str:
    text = _lines(result, content)
    start = text.find("expect(")
    after = text[start + len("expect(") + end_of_call(text[start + len("expect") :]) :] if start >= 0 else ""
    return "are properties of chai, which assert by themselves" if _CHAI.match(after) else ""


def _is_no_text(result: Result, content: bytes) -> str:
    """Returns that no text is thrown: a number or an object is a jump that its own code catches."""
    return "" if _TEXT_THROWN.search(_lines(result, content)) else "throw another value than a text"


def _is_in_function(result: Result, _: bytes) -> str:
    """Returns that a hook is called in a function that by its name is none itself, nor a component: it may stand first there."""
    return "are called in functions of other names" if "that is neither" in result.message else ""


def _kind_of_assertion(result: Result, content: bytes) -> str:
    return "unawaited" if re.search(r"\.\s*(?:resolves|rejects)\b", _lines(result, content).partition(";")[0]) else ""


def _lines(result: Result, content: bytes) -> str:
    lines = content.split(b"\n")[max(result.start_line, 1) - 1 :][:LINES]
    return b"\n".join(lines)[:MAX_CHARACTERS].decode(errors="replace")


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "no-throw-literal": _is_no_text,
    "rules-of-hooks": _is_in_function,
    "valid-expect": _is_of_chai,
}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {"valid-expect": _kind_of_assertion}
