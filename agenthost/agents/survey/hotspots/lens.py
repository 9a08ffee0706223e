"""Finds the one file where most work of a living project meets: the lens `hotspots`.

Renames are not followed: a file counts under the name it has now, and its numbers are modest at worst. Only the extreme is given:
that some file is the most changed one is no finding.
"""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ...files import is_tooling
from ...reading.functions import FunctionSpan, code_lines, find_functions
from ...reading.history import Commit, History, blame, read_history
from ...reading.snapshot import SourceText
from ..finding import Evidence, Finding, Severity, cite, named, shorten
from ..survey import Survey

WINDOW_SECONDS = 2 * 365 * 86_400
DORMANT_SECONDS = 365 * 86_400
MIN_COMMITS = 100
MAX_FILES_IN_COMMIT = 40
MIN_CHANGES = 18
MIN_CODE_LINES = 1500
MIN_SHARE = 0.2
MIN_TIMES_MEDIAN = 6
EXTREME_SHARE = 0.25
EXTREME_CODE_LINES = 3000
LONG_FUNCTION_LINES = 200
MAX_PARTS = 3
MIN_PART = 0.2  # of the commits, in the function that most of them are about
MAX_SUBJECTS = 3


def find_hotspots(survey: Survey) -> Iterator[Finding]:
    """Yields the large file that stands out most among those that change all the time, if there is one."""
    history = read_history()
    commits = recent(history.commits)
    if not _is_worked_on(survey, history, commits):
        return
    product = frozenset(path for path in survey.product if not is_tooling(path))
    touched = [(commit, {change.path for change in commit.changes} & product) for commit in commits]
    touched = [(commit, paths) for commit, paths in touched if paths]
    changes = Counter(path for _, paths in touched for path in paths)
    if len(touched) < MIN_COMMITS or len(changes) < MIN_TIMES_MEDIAN:
        return
    bar = max(MIN_CHANGES, MIN_SHARE * len(touched), MIN_TIMES_MEDIAN * statistics.median(changes.values()))
    busy = [source for path, count in changes.items() if count >= bar and (source := survey.snapshot.read(path))]
    large = [source for source in busy if code_lines(source) >= MIN_CODE_LINES]
    worst = max(large, key=lambda source: (changes[source.path] * code_lines(source), source.path), default=None)
    if worst:
        own = [commit for commit, paths in touched if worst.path in paths]
        yield from _describe(worst, own, len(touched), parts_of(worst, {commit.id: commit for commit in own}))


def recent(commits: Sequence[Commit]) -> list[Commit]:
    """Returns the commits of the last two years before the newest one, or more where those are few; mass changes left out."""
    small = [commit for commit in commits if 0 < len(commit.changes) <= MAX_FILES_IN_COMMIT]
    begin = max((commit.time for commit in small), default=0) - WINDOW_SECONDS
    inside = [commit for commit in small if commit.time >= begin]
    return inside if len(inside) >= 2 * MIN_COMMITS else small[: 2 * MIN_COMMITS]


def _is_worked_on(survey: Survey, history: History, commits: Sequence[Commit]) -> bool:
    newest = max((commit.time for commit in history.commits), default=0)
    if history.absence:
        survey.miss(f"{history.absence}: no hotspots can be told.")
    elif newest < time.time() - DORMANT_SECONDS:
        survey.miss(f"The last commit is of {_day(newest)}: a project at rest has no hotspots.")
    elif len(history.commits) == 1:  # all that a shallow clone has
        survey.miss("Without a history no hotspots can be told.")  # the report says why there is none
    elif len(commits) < MIN_COMMITS:
        told = named(len(history.commits), "commit")
        mass = len(history.commits) - len(commits)
        apart = f", {mass:,} of them mass changes" if mass else ""
        survey.miss(f"The history has {told}{apart}: too few to tell hotspots.")
    else:
        survey.say(
            f"Read {named(len(commits), 'commit')} since {_day(min(one.time for one in commits))}, without mass changes."
        )
        return True
    return False


def parts_of(source: SourceText, commits: dict[str, Commit]) -> list[tuple[FunctionSpan, int]]:
    """Returns the functions whose lines come from most of these commits, with their number."""
    lines = blame(source.path)
    found = [
        (span, len({lines.get(n) for n in range(span.start_line, span.end_line + 1)} & commits.keys()))
        for span in find_functions(source)
    ]
    busiest = sorted((one for one in found if one[1] > 1), key=lambda one: (-one[1], one[0].start_line))
    return busiest[:MAX_PARTS]


def _describe(
    source: SourceText, commits: Sequence[Commit], total: int, parts: Sequence[tuple[FunctionSpan, int]]
) -> Iterator[Finding]:
    size, share = code_lines(source), len(commits) / total
    extreme = share >= EXTREME_SHARE and size >= EXTREME_CODE_LINES
    spoken = ", ".join(f"`{span.name}` ({named(count, 'commit')})" for span, count in parts)
    subjects = "; ".join(f"“{shorten(commit.subject, 70)}”" for commit in commits[:MAX_SUBJECTS])
    evidence: list[Evidence] = [item for span, _ in parts if (item := cite(source, span.start_line))]
    # Where no function stands out there is nothing to begin with.
    if evidence and parts[0][1] >= MIN_PART * len(commits):
        yield Finding(
            severity=Severity.MEDIUM if extreme else Severity.LOW,
            title=f"{100 * share:.0f} % of the commits to product code change one file of {size:,} lines of code: {source.path}",
            claim=f"{len(commits)} of the {total:,} such commits touch it since {_day(commits[-1].time)}, the latest "
            f"{subjects}. The functions with lines of most of them are {spoken}.",
            remedy=_remedy(parts[0][0]),
            rule="lens:hotspot",
            evidence=tuple(evidence),
        )


def _remedy(span: FunctionSpan) -> str:
    if span.code_lines >= LONG_FUNCTION_LINES:
        return f"Split `{span.name}` first: it has {span.code_lines:,} lines."
    return f"Move `{span.name}` and what belongs to it to a file of its own first."


def _day(moment: float) -> str:
    return str(datetime.fromtimestamp(moment, UTC).date())
