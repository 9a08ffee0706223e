"""Finds what GitHub passes over without a word: issue templates that it does not offer, and pins that were left behind."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from ..reading.snapshot import SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

TEMPLATE = "lens:template-not-offered"
PIN = "lens:pin-left-behind"
MIN_EQUAL = 4  # uses of one hash, before another is odd
MAX_ODD = 2
_TEMPLATE = re.compile(r"^\.github/ISSUE_TEMPLATE/(?P<name>[\w -]+(?:\.(?:txt|markdown))?)$")
_OTHER = re.compile(r"(?i)readme|license|codeowners")
_HEAD = re.compile(r"\A---\n(?:.*\n)*?name:\s*\S")
_WORKFLOW = re.compile(r"^\.github/(?:workflows/[^/]+|actions/.+/action)\.ya?ml$")
_USE = re.compile(
    r"^\s*(?:-\s+)?uses:\s*[\"']?(?P<action>[\w.-]+/[\w.-]+)(?:/[^@\s]*)?@(?P<hash>[0-9a-f]{40})\b(?P<rest>.*)$"
)
_RELEASE = re.compile(r"#.*?\bv?(?P<release>\d+(?:\.\d+)*)")


def find_passed_over(survey: Survey) -> Iterator[Finding]:
    """Yields each template that GitHub does not offer, and each pin that all others have left behind."""
    for path in survey.snapshot.paths:
        match = _TEMPLATE.match(path)
        source = survey.snapshot.read(path) if match and not _OTHER.match(match["name"]) else None
        if source and _HEAD.match(source.text.replace("\r\n", "\n")):
            title = f"{path} does not end in .md, .yml or .yaml, and GitHub does not offer it"
            yield sighting(TEMPLATE, cite(source, 1, 4), title)
    yield from _left_behind(survey)


def _left_behind(survey: Survey) -> Iterator[Finding]:
    uses = defaultdict(list)
    for place in _uses(survey):
        uses[place[2]["action"]].append(place)
    for action, places in uses.items():
        usual, count = Counter(match["hash"] for _, _, match in places).most_common(1)[0]
        odd = [place for place in places if place[2]["hash"] != usual]
        newest = max(_release(match) for _, _, match in places if match["hash"] == usual)
        for source, number, match in odd if count >= MIN_EQUAL and len(odd) <= MAX_ODD else ():
            # Only what says that it is the older release was left behind: a newer one may be tried out.
            if () < _release(match) < newest:
                title = f"`{action}` is pinned to an older release here than in {count} other places"
                yield sighting(PIN, cite(source, number), title)


def _uses(survey: Survey) -> Iterator[tuple[SourceText, int, re.Match[str]]]:
    for source in map(survey.snapshot.read, filter(_WORKFLOW.match, survey.snapshot.paths)):
        for number, line in enumerate(source.lines if source else (), 1):
            if source and (match := _USE.match(line)):
                yield source, number, match


def _release(use: re.Match[str]) -> tuple[int, ...]:
    """Returns the release that the comment behind a hash names; nothing where it names none."""
    match = _RELEASE.search(use["rest"])
    return tuple(map(int, match["release"].split("."))) if match else ()
