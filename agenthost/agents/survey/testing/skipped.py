"""Finds tests that are skipped without a reason, and tests that keep the others of their file from running, in any language.

A comment beside a skip is a reason, and so is a condition. Ignored tests of Rust are left alone where CI runs them by a flag.
"""

import re
from collections.abc import Iterator

from ...files import language
from ...reading.snapshot import SourceText
from ..delivery.commands import Recipes
from ..delivery.pipelines import read_pipelines
from ..finding import Finding, Severity, cite, shorten
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

SKIPPED = Rule(
    "lens:skip-without-reason",
    Severity.LOW,
    "A test is skipped without a reason",
    "{count} tests in {files} are skipped without a reason",
    "What is skipped protects nothing, and no reader can tell when it may run again.",
    "Repair it, write the reason down, or delete it.",
)
FOCUSED = Rule(
    "lens:focused-test",
    Severity.MEDIUM,
    "A focused test keeps all others of its file from running",
    "{count} focused tests keep all others of their files from running",
    "It was meant for a moment of debugging.",
    "Remove `.only`.",
)
_JS_SKIP = re.compile(r"^\s*(?:(?:it|test|describe|context)\.skip|xit|xdescribe)\(")
_JS_ONLY = re.compile(r"^\s*(?:it|test|describe|context|suite)\.only\(")
_SKIPS: dict[str, re.Pattern[str]] = {
    "Python": re.compile(r"^\s*@(?:pytest\.mark\.skip|unittest\.skip)(?:\(\s*\))?\s*$|^\s*pytest\.skip\(\s*\)\s*$"),
    "JavaScript": _JS_SKIP,
    "TypeScript": _JS_SKIP,
    "Java": re.compile(r"^\s*@(?:Ignore|Disabled)\s*$"),
    "Kotlin": re.compile(r"^\s*@(?:Ignore|Disabled)\s*$"),
    "Go": re.compile(r"^\tt\.Skip(?:Now)?\(\s*\)\s*$"),
    "Rust": re.compile(r"^\s*#\[ignore\]\s*$"),
}
# Where a test's name stands: in the first line from here on that matches, or before it for skips inside of a test.
_NAMES: dict[str, re.Pattern[str]] = {
    "Python": re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)"),
    "JavaScript": re.compile(r"\(\s*([\"'`])(?P<name>.+?)\1"),
    "TypeScript": re.compile(r"\(\s*([\"'`])(?P<name>.+?)\1"),
    "Java": re.compile(r"\b(?:void|class)\s+(\w+)"),
    "Kotlin": re.compile(r"\b(?:fun|class)\s+(`[^`]+`|\w+)"),
    "Go": re.compile(r"^func\s+(\w+)"),
    "Rust": re.compile(r"\bfn\s+(\w+)"),
}
_NEAR_LINES = 6
# What is run by hand is skipped for all others.
_MANUAL = re.compile(r"perf|bench|manual|stress|slow", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)(?:#(?!\[)|//|/\*)\s*\w|^\s*\*\s+\w")


def find_skips(survey: Survey) -> list[Finding]:
    """Returns the tests that are skipped without a reason, and those that keep others from running."""
    return merge("tests", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    recipes = Recipes(survey.snapshot)
    run = "\n".join(recipes.of_pipelines(read_pipelines(survey.snapshot)))
    for source in survey.sources(_code_with_tests(survey), *_SKIPS):
        mine = language(source.path)
        if _MANUAL.search(source.path) or (mine == "Rust" and re.search(r"--(?:include-)?ignored\b", run)):
            continue
        for number, line in enumerate(source.lines, 1):
            if _SKIPS[mine].match(line) and not _explained(source, number):
                state = "is ignored, and no CI job passes `--ignored`" if mine == "Rust" and run else "is skipped"
                place = cite(source.path, source.lines, number, number + 2)
                yield Sighting(SKIPPED, place, f"`{_name(source, number)}` {state}")
            elif mine in {"JavaScript", "TypeScript"} and _JS_ONLY.match(line):
                yield Sighting(
                    FOCUSED, cite(source.path, source.lines, number), f"`{_name(source, number)}` runs alone"
                )


def _name(source: SourceText, number: int) -> str:
    """Returns the test's own name: beside the skip, below it, or above it where the skip is a statement."""
    pattern = _NAMES[language(source.path)]
    inside = source.lines[number - 1].lstrip().startswith(("t.Skip", "pytest.skip"))
    near = source.lines[:number][::-1] if inside else source.lines[number - 1 : number + _NEAR_LINES]
    match = next((found for line in near if (found := pattern.search(line))), None)
    return shorten(match.groupdict().get("name") or match[1], 70) if match else source.lines[number - 1].strip()[:70]


def _code_with_tests(survey: Survey) -> tuple[str, ...]:
    """Returns the files that may hold tests: Rust keeps tests beside the code."""
    return (*survey.tests, *(path for path in survey.product if language(path) == "Rust"))


def _explained(source: SourceText, number: int) -> bool:
    near = source.lines[max(number - 3, 0) : number + 1]
    decided = any(re.match(r"\s*(if|case|else)\b", line) for line in near[:-1])
    return decided or any(_COMMENT.search(line) for line in near)
