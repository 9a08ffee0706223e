"""Doubts results about Python names that are often wrong, by a second look at their file.

ruff takes a name for undefined that only an annotation names, that is bound elsewhere and deleted or declared in between, or that
the program makes when it runs. None of these need raise NameError. A doubt costs a true result now and then.
"""

import re

from ..results import Result

MAX_COLUMNS = 300  # of a line that is looked at, so that no line takes long
UNDEFINED, UNASSIGNED = "F821", "F823"
RULES = (UNDEFINED, UNASSIGNED)
UNRUN = "unrun"
# Names of Python 2, which stand behind a test of the version, and those that a host program puts in place.
_ELSEWHERE = frozenset(
    {
        *("unicode", "basestring", "long", "xrange", "raw_input", "unichr", "cmp", "execfile", "reload", "file", "buffer"),
        *("reduce", "apply", "intern", "coerce", "WindowsError", "_", "N_", "ngettext", "get_ipython", "display"),
        *("dbutils", "spark", "sc", "snakemake", "_IncompleteInputError"),
    }
)  # fmt: skip
_MADE = re.compile(
    rb"\bimport\s+\*|\b(?:exec|execfile|setattr)\s*\(|\b(?:globals|locals|vars)\s*\(\)|\b(?:builtins|__builtin__)\.\w"
    rb"|\b_convert_\b|global_enum|\bexcept\s+[\w.]+\s*,\s*\w+\s*:"
)
_NAME = re.compile(r"`(\w+)`")
_FOR_CHECKERS = re.compile(rb"\s*if\s+(?:\w+\.)?TYPE_CHECKING\s*:")


def why_not(result: Result, content: bytes) -> str:
    """Returns why a result about a name does not count; nothing where it does."""
    rule = result.rule.rpartition("/")[2]
    return "may be defined after all" if is_doubtful(rule, result.message, content, result.start_line) else ""


def kind_of(result: Result, content: bytes) -> str:
    """Returns "unrun" for a name that only type checkers read."""
    return UNRUN if _never_runs(content.split(b"\n"), result.start_line) else ""


MIN_DATA_BYTES = 8 * 1024
_STATEMENTS = re.compile(rb"(?m)^\s*(?:import|from|def|class|async|if|for|while|try|with)\b")


def is_doubtful(rule: str, message: str, content: bytes, line: int) -> bool:
    """Returns whether a result about a name may be wrong. `line` counts from 1."""
    found = _NAME.search(message)
    if rule not in RULES or not found:
        return False
    name = found[1].encode()
    lines = content.split(b"\n")
    here = lines[line - 1] if 0 < line <= len(lines) else b""
    if rule == UNDEFINED and len(content) > MIN_DATA_BYTES and not _STATEMENTS.search(content):  # data, as a program
        return True
    if _is_annotation(here, name) or b"type: ignore" in here:
        return True
    if rule != UNDEFINED or found[1] in _ELSEWHERE:
        return rule == UNDEFINED
    short = b"\n".join(line for line in lines if len(line) <= MAX_COLUMNS)
    is_made = _MADE.search(short) and not _never_runs(lines, line)  # checkers see no name that the program makes
    return bool(is_made) or _is_bound(short, _seen_from(lines, line), name)


def _never_runs(lines: list[bytes], line: int) -> bool:
    """Returns whether a line stands under `if TYPE_CHECKING:`."""
    here = lines[line - 1] if 0 < line <= len(lines) else b""
    deep = _depth(here)
    for above in reversed(lines[: line - 1]):
        if not deep:
            break
        if above.strip() and _depth(above) < deep:
            deep = _depth(above)
            if _FOR_CHECKERS.match(above):
                return True
    return False


def _depth(line: bytes) -> int:
    return len(line) - len(line.lstrip())


def _seen_from(lines: list[bytes], line: int) -> bytes:
    """Returns the lines whose assignments count for a line: those above it, and those of the module itself."""
    seen = (*lines[: line - 1], *(below for below in lines[line:] if below[:1] not in b" \t"))
    return b"\n".join(one for one in seen if len(one) <= MAX_COLUMNS)


def _is_annotation(here: bytes, name: bytes) -> bool:
    """Returns whether a line names it in a text, in an annotation, or in the head of a function or class."""
    bare = re.sub(rb"(?<![fFrRtT])(?:\"[^\"]*\"|'[^']*')", b"", here[:MAX_COLUMNS])
    if not re.search(rb"\b" + name + rb"\b", bare):
        return True
    return bool(
        re.match(rb"\s*(?:(?:async\s+)?def\b|\*{0,2}\w[\w.]*\s*:[^=]*\b" + name + rb"\b)|.*->[^:]*\b" + name, bare)
    )


def _is_bound(content: bytes, seen: bytes, name: bytes) -> bool:
    """Returns whether the file binds it anywhere but as a parameter, or whether what is seen of it assigns it."""
    bound = (
        rb"\b(?:def|class|as|global|nonlocal|del|import|for|type)\b[^\n:()]*?\b" + name + rb"\b",
        rb"(?m)^[ \t]*(?:\w+,[ \t]*)*" + name + rb",?[ \t]*(?:#[^\n]*)?$",  # of an import over several lines
    )
    assigned = (
        rb"(?m)^[^\n=()\"'#]*\b" + name + rb"\b[^\n=()]*(?<![=!<>])=(?!=)",
        rb"\b" + name + rb"[ \t]*:=",
    )
    return any(re.search(pattern, content) for pattern in bound) or any(
        re.search(pattern, seen) for pattern in assigned
    )
