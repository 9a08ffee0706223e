"""Doubts results about what an author means: variables compared by name, conditions switched off, mocks, patterns in quotes."""

import re
from collections.abc import Callable, Mapping

from ..results import Result

MAX_CHARACTERS = 1000  # of a line that is looked at
MAX_ATTRIBUTES = 10  # that stand above a function of Rust
# Bash takes a bare word beside a number for the name of a variable.
_NUMBER = re.compile(
    r"(?:^|\s)-?\d+\s+-(?:eq|ne|lt|le|gt|ge)\s|\s-(?:eq|ne|lt|le|gt|ge)\s+[\"']?-?\d+[\"']?(?:\s|$|\])"
)
_SWITCHED_OFF = re.compile(r"(?<![\w.])\d+\s*(?:[<>]=?|[!=]==?)\s*\d+(?![\w.])")
_QUOTED_PATTERN = re.compile(r"=~\s+([\"'])(?:\^|[^\"']*(?:\\[\[\].dsw(]|\.[*+])|[^\"']*[^\"'$ ]\$\1)")
_ATTRIBUTE = re.compile(r"\s*(?:#\[|///|//)")
_NAMED_TEST = re.compile(r"`(?:[\w.:]*[.:])?(?:[Tt]est(?:_\w*|[A-Z]\w*|s)?|\w*(?:[a-z0-9]Tests?|_tests?))`")
_TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*\n(?:#\[[^\n]*\]\s*\n)*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{")


def _compares_number(result: Result, content: bytes) -> str:
    return "compare a variable with a number" if _NUMBER.search(_line(result, content)) else ""


def _is_switched_off(result: Result, content: bytes) -> str:
    return "compare two numbers, which switches code off" if _SWITCHED_OFF.search(_line(result, content)) else ""


def _is_of_tests(result: Result, content: bytes) -> str:
    """Returns that a function is a test itself by its name, or, of Rust, is compiled for tests only."""
    if _NAMED_TEST.match(result.message):
        return "are tests"
    if not result.path.endswith(".rs"):
        return ""
    lines = content.decode(errors="replace").split("\n")[: max(result.start_line, 1)]
    above = lines[-2 : -2 - MAX_ATTRIBUTES : -1]
    attributes = above[: next((at for at, line in enumerate(above) if not _ATTRIBUTE.match(line)), len(above))]
    is_inside = lines[-1][:1].isspace() and _TEST_MODULE.search("\n".join(lines))
    return "are compiled for tests only" if is_inside or any("cfg(test)" in line for line in attributes) else ""


def _kind_of_text(result: Result, content: bytes) -> str:
    return "pattern" if _QUOTED_PATTERN.search(_line(result, content)) else ""


def _is_of_requests(result: Result, content: bytes) -> str:
    """Returns that a mock is one of requests-mock, which has `called_once`."""
    is_theirs = b"requests_mock" in content or b"request_history" in content
    return "ask a mock of requests" if is_theirs and ".called_once" in _line(result, content) else ""


def _kind_of_context(result: Result, content: bytes) -> str:
    return "" if "_create_default_https_context" in _line(result, content) else "one"


def _line(result: Result, content: bytes) -> str:
    lines = content.split(b"\n")
    here = lines[result.start_line - 1] if 0 < result.start_line <= len(lines) else b""
    return here[:MAX_CHARACTERS].decode(errors="replace")


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "PGH005": _is_of_requests,
    "SC2309": _compares_number,
    "no-constant-binary-expression": _is_switched_off,
    "tangled-function": _is_of_tests,
}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {
    "SC2076": _kind_of_text,
    "python-context-unchecked": _kind_of_context,
}
