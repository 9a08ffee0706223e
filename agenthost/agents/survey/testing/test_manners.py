"""Finds manners in tests of any language: skipped without a reason, focused on one, and waiting by the clock.

A comment beside a skip is a reason, and so is a condition. A sleep is only counted where its length stands in the text.
"""

import re
from collections.abc import Iterator

from ...files import language
from ..finding import Evidence, Finding, Severity, cite, named, shorten
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

SKIPPED = Rule(
    "lens:skip-without-reason",
    Severity.LOW,
    "A test in {path} is skipped without a reason",
    "{count} tests in {files} are skipped without a reason",
    "No reader can tell when it may run again.",
    "Write the reason down, or delete the test.",
)
FOCUSED = Rule(
    "lens:focused-test",
    Severity.MEDIUM,
    "A focused test keeps all others of its file from running in {path}",
    "{count} focused tests keep all others of their files from running",
    "It was meant for a moment of debugging.",
    "Remove `.only`.",
)
MIN_SLEPT_SECONDS = 30
MAX_QUOTED_SLEEPS = 5
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
# What is run by hand is skipped for all others.
_MANUAL = re.compile(r"perf|bench|manual|stress|slow", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)(?:#(?!\[)|//|/\*)\s*\w|^\s*\*\s+\w")
_COLLECTED = re.compile(r"(^|/)test_[^/]*\.py$|_test\.(py|go)$|Tests?\.java$")
_SLEEPS: dict[str, re.Pattern[str]] = {
    "Python": re.compile(r"^\s+time\.sleep\(\s*(?P<seconds>\d+(?:\.\d+)?)\s*\)"),
    "Java": re.compile(r"\bThread\.sleep\(\s*(?P<milliseconds>\d+)L?\s*\)"),
    "Go": re.compile(r"\btime\.Sleep\(\s*(?:(?P<count>\d+)\s*\*\s*)?time\.(?P<unit>Second|Millisecond)\s*\)"),
}


def find_skips(survey: Survey) -> list[Finding]:
    """Returns the tests that are skipped without a reason, and those that keep others from running."""
    return merge("tests", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    for source in survey.sources(_code_with_tests(survey), *_SKIPS):
        mine = language(source.path)
        if _MANUAL.search(source.path):
            continue
        for number, line in enumerate(source.lines, 1):
            if _SKIPS[mine].match(line) and not _explained(source, number):
                place = cite(source.path, source.lines, number, number + 1)
                yield Sighting(SKIPPED, place, f"{_name(source, number)} is skipped")
            elif mine in {"JavaScript", "TypeScript"} and _JS_ONLY.match(line):
                yield Sighting(FOCUSED, cite(source.path, source.lines, number), f"`{line.strip()[:60]}` is left in")


def _name(source: SourceText, number: int) -> str:
    line = source.lines[number - 1].strip()
    following = source.lines[number].strip() if number < len(source.lines) else ""
    return f"`{shorten(following if line.startswith(('@', '#[')) else line, 70)}`"


def _code_with_tests(survey: Survey) -> tuple[str, ...]:
    """Returns the files that may hold tests: Rust keeps tests beside the code."""
    return (*survey.tests, *(path for path in survey.product if language(path) == "Rust"))


def _explained(source: SourceText, number: int) -> bool:
    near = source.lines[max(number - 3, 0) : number + 1]
    decided = any(re.match(r"\s*(if|case|else)\b", line) for line in near[:-1])
    return decided or any(_COMMENT.search(line) for line in near)


def find_sleeps(survey: Survey) -> Iterator[Finding]:
    """Yields one finding where the tests wait by the clock for long."""
    slept: list[tuple[float, Evidence]] = []
    for source in survey.sources(survey.tests, *_SLEEPS):
        slept += _sleeps(source)
    total = sum(seconds for seconds, _ in slept)
    if total < MIN_SLEPT_SECONDS:
        return
    longest = sorted(slept, key=lambda item: (-item[0], item[1].path, item[1].start_line))[:MAX_QUOTED_SLEEPS]
    files = len({evidence.path for _, evidence in slept})
    yield Finding(
        category="tests",
        severity=Severity.INFO,
        title=f"The tests wait {total:.0f} seconds by the clock, in {named(len(slept), 'place')}",
        claim=f"Sleeps with a written length stand in {named(files, 'file')}; the longest waits {longest[0][0]:g} seconds. Each "
        "is too long on a fast machine and too short on a busy one.",
        remedy="Wait for the condition, or give the code a clock to turn.",
        rule="lens:sleeping-tests",
        evidence=tuple(evidence for _, evidence in longest),
        weight=total,
    )


def _sleeps(source: SourceText) -> Iterator[tuple[float, Evidence]]:
    if not _COLLECTED.search(source.path):
        return
    pattern = _SLEEPS[language(source.path)]
    for number, line in enumerate(source.lines, 1):
        match = pattern.search(line) if "leep(" in line and not line.strip().startswith(("#", "//")) else None
        evidence = cite(source.path, source.lines, number) if match else None
        if match and evidence and 0 < (seconds := _seconds(match)) <= 300:
            yield seconds, evidence


def _seconds(match: re.Match[str]) -> float:
    parts = match.groupdict()
    if parts.get("seconds"):
        return float(parts["seconds"])
    if parts.get("milliseconds"):
        return int(parts["milliseconds"]) / 1000
    return int(parts.get("count") or 1) * (1 if parts.get("unit") == "Second" else 0.001)
