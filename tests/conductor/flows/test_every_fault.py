"""A file with one fault of each class is told all of them, each at its line. Keeps A4."""

import re
from pathlib import Path

from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text

FILE = Path(__file__).with_name("faults.yaml")
MARK = re.compile(r"#! (?:\+(\d+) )?(.+)$")


def planted() -> set[tuple[int, str]]:
    """Returns what the file says of itself."""
    found = set()
    for number, line in enumerate(FILE.read_text().splitlines(), start=1):
        if match := MARK.search(line):
            found |= {(number + int(match[1] or 0), field) for field in match[2].split()}
    return found


def test_every_fault_of_a_file_is_told_at_once_and_at_its_line() -> None:
    library = Library(frozenset({"reader"}), frozenset({"evidence"}))
    problems = judge_text(FILE.read_bytes(), "faults.yaml", library).problems

    assert {(problem.line, problem.field) for problem in problems} == planted()
    assert len(planted()) > 40
