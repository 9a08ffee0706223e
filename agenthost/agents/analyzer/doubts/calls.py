"""Doubts results about calls by what they are given: a request that brings its method, a command that is one constant text."""

import re
from collections.abc import Callable, Mapping

from ..results import Result

MAX_LINES = 40  # of one call, before the place that its tool names
MAX_CHARACTERS = 2000  # of a call
MAX_LINES_BEFORE = 400  # between a variable and the call that it is given to
_FETCH = re.compile(
    r"(?<![\w.$])(?:(?:window|globalThis|self)\.)?(?:fetch|new\s+Request)\s*\(\s*(?P<given>[^\n]{0,200})"
)
# A text or an address brings no method of its own; a variable may hold a request, which does.
_ADDRESS = re.compile(r"[\"'`]|new\s+URL\b")
_COMMAND = re.compile(r"\(\s*(?:args\s*=\s*)?(?P<name>[A-Za-z_]\w*)\s*[,)]")
_REDUNDANT = "has no effect"


def _may_have_method(result: Result, content: bytes) -> str:
    """Returns that a request may have a method after all: that of a request which it is made from, or of spread options."""
    lines = content.decode(errors="replace").split("\n")[max(0, result.start_line - MAX_LINES) : result.start_line]
    text = "\n".join(lines)
    last = max(_FETCH.finditer(text), key=re.Match.start, default=None)
    if last is None or not _ADDRESS.match(last["given"]):
        return "may be given a request with a method"
    after = content.decode(errors="replace").split("\n")[result.start_line : result.start_line + MAX_LINES]
    options = "\n".join([text[last.start() :], *after])[:MAX_CHARACTERS]
    return "spread other options" if "..." in options[: end_of_call(options)] else ""


def end_of_call(text: str) -> int:
    """Returns where the first parenthesis of a text is closed; its end where it never is."""
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ")" and depth == 0:
            return at
    return len(text)


def _is_redundant(result: Result, _: bytes) -> str:
    return "only say less than the other half" if _REDUNDANT in result.message else ""


def _is_constant(result: Result, content: bytes) -> str:
    """Returns that the variable which is run holds a constant text: by the last assignment before, unless in a branch."""
    lines = content.decode(errors="replace").split("\n")
    call = "\n".join(lines[result.start_line - 1 : result.start_line + 1])[:MAX_CHARACTERS]
    match = _COMMAND.search(call)
    if match is None:
        return ""
    assigned = re.compile(rf"(?P<indent>\s*){match['name']}\s*(?::[^=]+)?\+?=(?!=)\s*(?P<value>.*)")
    before = lines[max(0, result.start_line - 1 - MAX_LINES_BEFORE) : result.start_line - 1]
    last = next((found for one in reversed(before) if (found := assigned.match(one[:MAX_CHARACTERS]))), None)
    indent = len(call) - len(call.lstrip())
    is_text = last and re.fullmatch(r"[rub]?(\"[^\"]*\"|'[^']*')\s*(#.*)?", last["value"]) and "+=" not in last[0][:80]
    return "run a constant" if last and is_text and len(last["indent"]) <= indent else ""


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "const-comparisons": _is_redundant,
    "no-invalid-fetch-options": _may_have_method,
    "python-shell-command-built": _is_constant,
}
