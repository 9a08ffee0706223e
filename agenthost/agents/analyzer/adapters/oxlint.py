"""Reads the output of `oxlint --format json`: an object with a list of diagnostics.

Three kinds are more than a result each. A file that it cannot parse has a diagnostic without a rule, or with a number of the
TypeScript compiler's. Each import that leads back to its own file has one: of these the results are the rings, each with what to
move. And each function with many paths, or with many lines, has one: the result is a function that has both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from ...reading.snapshot import MAX_FILE_BYTES, read_bytes
from ..pieces import Pieces
from ..react import RULES as RULES_OF_REACT
from ..react import is_of_react
from ..results import WORKSPACE, Result
from ..rings import Import, find_rings

READS_FILES = True  # `read` is given the root of the snapshot, too
UNPARSED, CYCLE, BRANCHES, LINES, TANGLED = (
    "syntax-error", "no-cycle", "complexity", "max-lines-per-function", "tangled-function",
)  # fmt: skip
# Beyond these, as lizard's. Functions inside count for the lines, and not for the paths, so that a long one needs more of them.
MAX_BRANCHES = 400
MIN_BRANCHES = 400
MAX_CODE_LINES = 900
MIN_LINES_A_BRANCH = 2
MAX_KEPT = 20_000  # imports, and functions
MAX_NAME_CHARACTERS = 120
_UNREAD = re.compile(r"Failed to open file (/.+) with error ")  # such a diagnostic has no other place
_RULE = re.compile(r"(?!TS\()[\w-]+\(([\w/-]+)\)")  # eslint(no-dupe-keys)
STEP = "\u2b07"  # the arrow between the files of a cycle
_IMPORTED = re.compile(r"\n[^\n]* \((/[^\n]*)\)(?:\n|$)")  # ╭──▶ ./b (/workspace/src/b.ts)
_NAME = re.compile(r"`([^`]+)`")
_GIVEN_NAME = re.compile(r"([\w$]+)\s*(?::[^=]*)?[:=]\s*(?:async\b)?\s*$")  # const a =
_NUMBER = re.compile(r"\((\d+)\)\. |complexity of (\d+)\. ")
# Of these most are written by a build, or name a value that it replaces.
CONSTANT, TRUTHINESS = "no-constant-binary-expression", "constant truthiness"
EXPECT, MESSAGE = "valid-expect", "Expect takes at most"  # the second argument is a message, which Vitest takes
DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")  # without code, so that one that does not parse hides nothing
NOT_REACT = "not-react"
Place = tuple[str, int, int]  # path, line, column


@dataclass
class _Gathered:
    """What is told when all diagnostics are read."""

    root: Path
    cycles: list[Import] = field(default_factory=list)
    functions: dict[Place, dict[str, int]] = field(default_factory=dict)
    names: dict[Place, str] = field(default_factory=dict)
    _last: tuple[str, bytes] = "", b""

    def take(self, result: Result, diagnostic: dict[str, Any]) -> bool:
        """Returns whether a result is none by itself: it is kept for later as far as there is room, or left out."""
        if result.rule == UNPARSED:
            return result.path.endswith(DECLARATIONS)
        if result.rule == EXPECT and MESSAGE in result.message:
            return True
        if result.rule == CONSTANT:
            return TRUTHINESS in result.message
        if result.rule == CYCLE:
            match = _IMPORTED.search(str(diagnostic.get("note")))
            if match and len(self.cycles) < MAX_KEPT:
                importer, imported = (path.removeprefix(f"{self.root}/") for path in (result.path, match[1]))
                files = str(diagnostic["note"]).count(STEP) + 1
                self.cycles.append(Import(importer, result.start_line, imported, cycle=files))
        elif result.rule in {BRANCHES, LINES}:
            place = result.path, result.start_line, int(_span(diagnostic)["column"])
            if (number := _NUMBER.search(result.message)) and (
                place in self.functions or len(self.functions) < MAX_KEPT
            ):
                self.functions.setdefault(place, {})[result.rule] = int(number[1] or number[2])
                if name := _NAME.search(result.message):
                    self.names[place] = name[1]
        else:
            return False
        return True

    def results(self) -> Iterator[Result]:
        """Yields the tangled functions, and the rings."""
        for place, numbers in sorted(self.functions.items(), key=lambda one: -one[1].get(BRANCHES, 0)):
            branches, code = numbers.get(BRANCHES, 0), numbers.get(LINES, 0)
            if (code > MAX_CODE_LINES and branches >= MIN_BRANCHES) or (
                branches > MAX_BRANCHES and code >= MIN_LINES_A_BRANCH * branches
            ):
                yield self._tangled(place, branches, code)
        yield from find_rings(self.root, self.cycles)

    def of_library(self, result: Result) -> Result:
        """Returns a result as it is, or, of a rule of React in a file that React does not render, one that says so."""
        path = result.path.removeprefix(f"{self.root}/")
        if result.rule not in RULES_OF_REACT or is_of_react(self.root, path, self._content(path)):
            return result
        return replace(result, rule=NOT_REACT)

    def breaks_in(self, path: str, diagnostic: dict[str, Any]) -> int:
        """Returns how many lines after its first one a diagnostic ends."""
        span = _span(diagnostic)
        start, length = int(span.get("offset", 0)), int(span.get("length", 0))
        return self._content(path)[start : start + length].rstrip().count(b"\n") if length > 1 else 0

    def _content(self, path: str) -> bytes:
        """Returns the bytes of a file; those of the last one are kept, as results come file by file."""
        if path != self._last[0]:
            self._last = path, read_bytes(self.root / path, MAX_FILE_BYTES) or b""
        return self._last[1]

    def _tangled(self, place: Place, branches: int, code: int) -> Result:
        path, line, column = place
        name = self.names.get(place) or self._given_name(path, line, column)
        text = (
            f"{f'`{name[:MAX_NAME_CHARACTERS]}`' if name else 'A function'} has {code:,} lines of code"
            f" and {branches:,} independent paths through it (cyclomatic complexity)."
        )
        return Result(TANGLED, "warning", text, path, line, line)

    def _given_name(self, path: str, line: int, column: int) -> str:
        """Returns the name that stands before an arrow function, where there is one."""
        lines = self._content(path).decode(errors="replace").split("\n")
        match = _GIVEN_NAME.search(lines[line - 1][: column - 1][-MAX_NAME_CHARACTERS:]) if line <= len(lines) else None
        return match[1] if match else ""


def read(stream: BinaryIO, root: Path = Path(WORKSPACE)) -> Iterator[Result]:
    """Yields the results in the output of oxlint."""
    document, gathered = Pieces(stream.read), _Gathered(root)
    for key in document.members():
        if key != "diagnostics" or document.peek() != "[":
            document.skip()
            continue
        for _ in document.items():
            diagnostic = document.take()
            if isinstance(diagnostic, dict) and (unread := _UNREAD.match(str(diagnostic.get("message")))):
                diagnostic.setdefault("filename", unread[1])
            result = _result(diagnostic) if isinstance(diagnostic, dict) else None
            if result and not gathered.take(result, diagnostic):
                result = gathered.of_library(result)
                yield replace(result, end_line=result.start_line + gathered.breaks_in(result.path, diagnostic))
    yield from gathered.results()


def _result(diagnostic: dict[str, Any]) -> Result:
    match = _RULE.fullmatch(str(diagnostic.get("code", "")))
    return Result(
        match[1] if match else UNPARSED,
        "warning",
        str(diagnostic["message"]),
        str(diagnostic["filename"]),
        line := int(_span(diagnostic).get("line", 0)),
        line,
        help=str(diagnostic.get("url", "")),
    )


def _span(diagnostic: dict[str, Any]) -> dict[str, Any]:
    return dict(diagnostic["labels"][0]["span"]) if diagnostic.get("labels") else {}
