"""Finds the functions of a file and their length, by the tree for Python and by headers and braces for other languages.

The brace finder is tolerant: a function begins at a line that looks like a header and ends at the first closing brace with the
same indentation, as every formatter writes it. What it cannot tell it leaves out.
"""

import ast
import itertools
import re
from dataclasses import dataclass

from ...files import language
from .python_source import functions, parse, walk
from .snapshot import SourceText

MAX_BRACE_LINES = 30_000
_BRANCH = re.compile(
    r"^(\} *)?(if|elif|else if|for|while|case|except|catch)\b|\s(&&|\|\||=>)\s|\b(if|and|or)\b.*[:{]$".replace(
        "^", r"^\s*"
    )
)
_DEFINITION = re.compile(
    r"(export |default |public |abstract |final |async |pub |typedef )*(class|def|func|function|struct|interface|enum|type|fn)\b"
)
_PREAMBLE = re.compile(r"\s*(import|from|package|using|#\s*include|\*|\W*$)")
_NOT_A_NAME = r"(?!if\b|for\b|while\b|switch\b|catch\b|else\b|return\b|do\b|try\b|defined\b|sizeof\b)"
_C_HEADER = re.compile(rf"^(?![#/*}} ])[\w\s*&:<>,~]*?\b{_NOT_A_NAME}(\w+)\s*\([^;]*$")
_HEADERS = {
    "C": _C_HEADER,
    "C++": _C_HEADER,
    "Go": re.compile(r"^func\s+(?:\([^)]*\)\s*)?(\w+)"),
    "Rust": re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:const\s+|async\s+|unsafe\s+)*fn\s+(\w+)"),
    **dict.fromkeys(
        ("JavaScript", "TypeScript"),
        re.compile(
            r"^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?function\s*\*?\s*(\w+)"
            rf"|^\s*(?:(?:public|private|protected|static|async|get|set)\s+)*{_NOT_A_NAME}(\w+)\s*\([^;]*\)[^;=]*\{{\s*$"
            r"|^\s*(?:[\w.]+\.)(\w+)\s*=\s*(?:async\s+)?function"
        ),
    ),
    **dict.fromkeys(
        ("Java", "Kotlin", "C#", "Scala", "PHP", "Swift"),
        re.compile(rf"^\s+(?:[\w<>\[\],.?@]+\s+)+{_NOT_A_NAME}(\w+)\s*\([^;]*$"),
    ),
}


@dataclass(frozen=True, slots=True)
class FunctionSpan:
    """A function, the lines that it covers, how many of them are code, and how many of those branch."""

    name: str
    start_line: int
    end_line: int
    code_lines: int
    branches: int


def find_functions(source: SourceText) -> list[FunctionSpan]:
    """Returns the functions in the order of the file; empty for a language that is not known."""
    mine = language(source.path)
    tree = parse(source) if mine == "Python" else None
    header = _HEADERS.get(mine)
    if tree:
        spans = [(item.name, item.lineno, item.end_lineno or item.lineno) for item in functions(tree)]
    else:
        spans = _by_braces(source.lines[:MAX_BRACE_LINES], header) if header else []
    flags = code_line_flags(source, tree)
    code = [0, *itertools.accumulate(flags)]
    branching = (flag and bool(_BRANCH.search(line)) for flag, line in zip(flags, source.lines, strict=True))
    branches = [0, *itertools.accumulate(branching)]
    return [
        FunctionSpan(name, start, end, code[end] - code[start - 1], branches[end] - branches[start - 1])
        for name, start, end in spans
    ]


def tangled_function(source: SourceText) -> FunctionSpan | None:
    """Returns the function that branches most, the longest of them where several do: flat lists are long but simple."""
    return max(
        find_functions(source), key=lambda item: (item.branches, item.code_lines, -item.start_line), default=None
    )


def code_lines(source: SourceText) -> int:
    """Counts the lines of code of a file."""
    return sum(code_line_flags(source, parse(source) if language(source.path) == "Python" else None))


def first_code_line(source: SourceText) -> int:
    """Returns the line of the first definition, or else statement: a place to point at when the whole file is meant."""
    flags = code_line_flags(source, parse(source) if language(source.path) == "Python" else None)
    numbers = [number for number, flag in enumerate(flags, 1) if flag]
    definitions = (number for number in numbers if _DEFINITION.match(source.lines[number - 1]))
    own = (number for number in numbers if not _PREAMBLE.match(source.lines[number - 1]))
    return next(itertools.chain(definitions, own, numbers), 1)


def code_line_flags(source: SourceText, tree: ast.Module | None) -> list[bool]:
    """Tells of each line whether it is code: not blank, not only a comment, and not inside a text of several lines."""
    prose: set[int] = set()
    for node in walk(tree) if tree else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno:
            prose.update(range(node.lineno, node.end_lineno + 1) if node.end_lineno > node.lineno else ())
    stripped = (line.strip() for line in source.lines)
    comments = ("#", "//", "/*", "* ", "*/") if tree is None else "#"
    return [
        bool(line) and not line.startswith(comments) and number not in prose for number, line in enumerate(stripped, 1)
    ]


def _by_braces(lines: tuple[str, ...], header: re.Pattern[str]) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    closed = 0
    for number, line in enumerate(lines, 1):
        match = header.match(line) if number > closed and len(line) < 400 else None
        if match and (end := _end(lines, number, line[: len(line) - len(line.lstrip())])):
            found.append((next(name for name in match.groups() if name), number, end))
            closed = end
    return found


def _end(lines: tuple[str, ...], start: int, indent: str) -> int:
    """Returns the line of the closing brace; 0 when the header turns out to be a declaration."""
    opened = False
    for number in range(start, len(lines) + 1):
        line = lines[number - 1]
        opened = opened or "{" in line
        if not opened and (line.rstrip().endswith(";") or number - start > 20):
            return 0
        if opened and line.startswith(indent + "}"):
            return number
        if opened and number == start and line.rstrip().endswith("}"):
            return number
    return 0
