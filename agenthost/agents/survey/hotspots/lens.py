"""Finds files that are both large and changed all the time, and files that only change together: the lens `hotspots`.

Renames are not followed: a file counts under the name it has now, and its numbers are modest at worst.
Only outliers are given; that some file is the most changed one is no finding.
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ...files import is_tooling
from ..finding import Finding, Severity, cite, named
from ..lens import Detector
from ..reading.functions import FunctionSpan, code_lines, first_code_line, tangled_function
from ..reading.history import Commit
from ..reading.snapshot import SourceText
from ..survey import Survey
from .cochange import find_cochange

WINDOW_SECONDS = 2 * 365 * 86_400
MIN_COMMITS = 60
MIN_FILES = 5
MAX_FILES_IN_COMMIT = 40
MIN_CHANGES = 15
MIN_CODE_LINES = 400
MIN_CHURN_RATIO = 5
LONG_FUNCTION_LINES = 80
MANY_BRANCHES = 15
MIN_SHARE = 0.03
HIGH_SHARE = 0.1
HIGH_SHARE_WITHOUT_TANGLE = 0.2
MAX_FINDINGS = 5
_FIX_WORDS = ("fix", "bug", "regress", "crash", "hotfix")


@dataclass(frozen=True, slots=True)
class Activity:
    """The changes of a file in the window, by number and kind."""

    commits: int
    fixes: int
    lines: int


def recent(commits: Sequence[Commit]) -> list[Commit]:
    """Returns the commits of the last two years before the newest one, or more where those are few; mass changes left out."""
    small = [commit for commit in commits if 0 < len(commit.changes) <= MAX_FILES_IN_COMMIT]
    if not small:
        return []
    begin = max(commit.time for commit in small) - WINDOW_SECONDS
    inside = [commit for commit in small if commit.time >= begin]
    return inside if len(inside) >= 4 * MIN_COMMITS else small[: 4 * MIN_COMMITS]


def find_hotspots(survey: Survey) -> Iterator[Finding]:
    """Yields files that stand out in both the number of changes and in size."""
    commits = recent(survey.history.commits)
    if survey.history.absence or len(commits) < MIN_COMMITS:
        survey.miss(f"{survey.history.absence or 'The history is too short to tell'}: no hotspots can be told.")
        return
    since = datetime.fromtimestamp(min(commit.time for commit in commits), UTC).date()
    survey.say(f"Read {named(len(commits), 'commit')} since {since}, without merges and mass changes.")
    product = frozenset(path for path in survey.product if not is_tooling(path))
    commits = [commit for commit in commits if any(change.path in product for change in commit.changes)]
    activity = _activity(product, commits)
    if len(activity) < MIN_FILES or len(commits) < MIN_COMMITS:
        return
    typical = statistics.median(item.commits for item in activity.values())
    for path in _outliers(survey, activity, typical):
        source = survey.snapshot.read(path)
        if source and (finding := _describe(source, activity[path], len(commits), f"since {since}", typical)):
            yield finding


def _activity(product: frozenset[str], commits: Sequence[Commit]) -> dict[str, Activity]:
    """Counts changes of product code only: changelogs, locks and tests change with everything."""
    changes, fixes, lines = Counter[str](), Counter[str](), Counter[str]()
    for commit in commits:
        is_fix = any(word in commit.subject.lower() for word in _FIX_WORDS)
        for change in commit.changes:
            if change.path in product:
                changes[change.path] += 1
                fixes[change.path] += is_fix
                lines[change.path] += change.added + change.removed
    return {path: Activity(count, fixes[path], lines[path]) for path, count in changes.items()}


def _outliers(survey: Survey, activity: dict[str, Activity], typical: float) -> list[str]:
    bar = max(MIN_CHANGES, MIN_CHURN_RATIO * typical)
    busy = [path for path, item in activity.items() if item.commits >= bar]
    sizes = {path: code_lines(source) for path in busy if (source := survey.snapshot.read(path))}
    large = [path for path, size in sizes.items() if size >= MIN_CODE_LINES]
    return sorted(large, key=lambda path: (-activity[path].commits * sizes[path], path))[:MAX_FINDINGS]


def _describe(source: SourceText, item: Activity, total: int, since: str, typical: float) -> Finding | None:
    span = tangled_function(source)
    long = span if span and span.code_lines >= LONG_FUNCTION_LINES and span.branches >= MANY_BRANCHES else None
    share = item.commits / total
    if share < (MIN_SHARE if long else HIGH_SHARE_WITHOUT_TANGLE):
        return None
    place = cite(source.path, source.lines, long.start_line if long else first_code_line(source))
    size = code_lines(source)
    return Finding(
        category="hotspots",
        severity=Severity.MEDIUM if long and share >= HIGH_SHARE else Severity.LOW,
        title=f"{100 * share:.0f} % of commits to product code change one file of {size:,} lines: {source.path}",
        remedy=f"Begin with `{long.name}`." if long else "Split off the part that these commits are about.",
        rule="lens:hotspot",
        claim=_claim(item, long, f"{total:,} commits to product code {since}", typical),
        evidence=(place,) if place else (),
        weight=item.commits * size,
    )


def _claim(item: Activity, long: FunctionSpan | None, commits: str, typical: float) -> str:
    fixes = f", {item.fixes} of them called fixes" if item.fixes >= 5 else ""
    function = (
        f" Its most tangled function, `{long.name}`, has {long.code_lines} lines of code and {long.branches} branches."
        if long
        else ""
    )
    return (
        f"{item.commits} of the {commits} touch it{fixes} ({item.lines:,} lines changed); the median file that changed at "
        f"all has {typical:.0f}.{function} Work, review and conflicts meet here."
    )


DETECTORS = (
    Detector("the history, for large files that change all the time", find_hotspots),
    Detector("the history, for distant files that change together", find_cochange),
)
