"""Reads what a project's cppcheck leaves out: comments in the code, lists of suppressions, and `--suppress` of builds.

The comments are read as the snapshot has them: they are code, as those of other tools are.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ...reading.snapshot import read_bytes
from ..results import Result
from .omissions import Omission, Omissions
from .repository import MAX_FILES, Repository

STARTERS = ("Makefile", "makefile", "GNUmakefile", "CMakeLists.txt", "meson.build", ".travis.yml", ".gitlab-ci.yml")
WORKFLOWS = ".github/workflows"
MAX_SOURCE_BYTES = 1024 * 1024
_LIST = re.compile(r"\.?cppcheck[\w.-]*|[\w.-]*suppress[\w.-]*\.(?:txt|list|supp)|[\w.-]*\.supp")
_OPTION = re.compile(r"--suppress=[\"']?([\w*]+)(?::([^\s\"':]+))?(?::(\d+))?")
_ENTRY = re.compile(r"([A-Za-z]\w*|\*)(?::([^\s:]+))?(?::(\d+))?")
_COMMENT = re.compile(r"(?://|/\*)\s*cppcheck-suppress(-\w+)?\b\s*(\[[^\]]*\]|\w+)")
_IS_COMMENT = re.compile(r"\s*(?://|/\*|\*)")


class CppcheckOmissions(Omissions):
    """As `Omissions`, and the comments of the file that a result stands in."""

    def __init__(self, root: Path, origin: str) -> None:
        super().__init__(origin)
        self._root = root
        self._read: tuple[str, list[str]] = ("", [])  # the last file

    def leaves_out(self, result: Result) -> bool:
        """Returns whether a comment or a setting leaves out a result."""
        if result.rule in self._told_at(result):
            self.applied[f"{result.path[:80]} (cppcheck-suppress)"] = None
            return True
        return super().leaves_out(result)

    def _told_at(self, result: Result) -> set[str]:
        """Returns the rules that comments suppress at a line: on it, right above it, for a block, or for the whole file."""
        if self._read[0] != result.path:
            content = read_bytes(self._root / result.path, MAX_SOURCE_BYTES) or b""
            self._read = result.path, content.decode(errors="replace").split("\n")
        lines = self._read[1]
        told: set[str] = set()
        above: set[str] = set()
        for number, line in enumerate(lines, 1):
            for kind, rules in _comments(line):
                if kind == "-file" or (kind == "-begin" and number <= result.start_line):
                    told |= rules
                elif kind == "-end" and number <= result.start_line:
                    told -= rules
                elif kind in {"", "-macro"}:
                    above |= rules
            if number == result.start_line:
                told |= above
            if not _IS_COMMENT.match(line):
                above = set()
        return told


def narrow(root: Path, base: str = "") -> CppcheckOmissions:
    """Returns what the project leaves out of cppcheck's results."""
    repository = Repository(root, base)
    omissions = CppcheckOmissions(root, repository.origin)
    folders = ("", ".github", "tools", "scripts", "ci", ".ci", "cppcheck", ".cppcheck")
    lists = [
        path for folder in folders for path in repository.files_in(folder) if _LIST.fullmatch(path.rpartition("/")[2])
    ]
    for path in lists[:MAX_FILES]:
        omissions.add(_entries(path, repository.read(path)))
    for path in [*repository.find(STARTERS), *repository.files_in(WORKFLOWS)[:MAX_FILES]]:
        text = repository.read(path)
        found = _OPTION.finditer(text) if "cppcheck" in text else ()
        omissions.add(_omission(path, "--suppress", match) for match in found)
    return omissions


def _entries(path: str, content: str) -> Iterator[Omission]:
    """Yields the entries of a list, as `memleak:src/a.c:3`. In a list of another tool the lines have other forms."""
    for line in content.splitlines():
        entry = re.split(r"\s*(?://|#)", line.strip(), maxsplit=1)[0]
        if match := _ENTRY.fullmatch(entry):
            yield _omission(path, "suppressions", match)


def _omission(path: str, setting: str, match: re.Match[str]) -> Omission:
    files = (match[2].removeprefix("*/").removeprefix("./"),) if match[2] and match[2] != "*" else ()
    rules = ("",) if match[1] == "*" else (match[1],)
    return Omission(path, setting, rules, files, int(match[3] or 0), is_exact=match[1] != "*", is_everywhere=True)


def _comments(line: str) -> Iterator[tuple[str, set[str]]]:
    """Yields the kind of each comment that suppresses, and its rules."""
    for match in _COMMENT.finditer(line) if "cppcheck-suppress" in line else ():
        rules = match[2].strip("[]").split(",")
        yield match[1] or "", {words[0] for rule in rules if (words := rule.split())}
