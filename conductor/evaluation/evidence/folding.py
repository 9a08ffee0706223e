"""Folds the findings of one rule into one, with its places: twelve unpinned actions are one finding with one remedy.

The identity of a folded finding is its `cause`, never a place, a number or a title, which all change with the code:

1. The cause is the rule. Where the table says `fold = false`, it is the rule with the tool's own title ("`requests` is not
   declared"), so that each cause is one finding.
2. `id` and `fingerprint` are made from the cause alone. When a thirteenth place comes, or the first one goes, and when a file is
   renamed, the finding is the same: it persists in a comparison of runs, and stays known in a baseline.
3. It is fixed when its last place is gone, and new when a first place comes. Where each new place must count, as in a gate on
   changes, a run is over the change: there a folded finding has the places inside of it only, with their number; one that has
   none there is outside. A baseline knows it with as many places as it had: with more of them in all (`total`) it counts again.
4. A finding whose gravity the table leaves to its maker, as those of lenses, and that is not folded, is about itself: it keeps the
   identity that its check gave it (see `fingerprints`).

Shown are up to `MAX_EVIDENCE` places that exist: product code first and tests last, then what the tool thinks worse of, then by
path. The others, up to `MAX_PLACES` in all, are listed as `more_places`. `count` is the true number, also of those that the tool
only counted; `unlisted` is how many of these stand in neither list.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from conductor.evaluation.evidence.findings import (
    MAX_CLAIM_CHARACTERS,
    MAX_EVIDENCE,
    MAX_PLACES,
    SEVERITIES,
    Finding,
)
from conductor.evaluation.evidence.fingerprints import fingerprint_of_cause
from conductor.evaluation.evidence.test_code import MOST_REMOTE, is_test, remoteness
from conductor.flows.library.rule_table import LENS, Rule, filled

MAX_TITLE_CHARACTERS = 200
MAX_CAUSE_CHARACTERS = 300
MAX_TOLD_TITLES = 5
MAX_JOINED_CHARACTERS = 80  # of a title that stands in a row with others
MOST_SEVERE_IN_TESTS = "medium"


def cause_of(finding: Finding, rule: Rule) -> str:
    """Returns what a finding is folded by; empty where it stays alone."""
    if rule.fold:
        return finding.rule
    return f"{finding.rule} {finding.title}"[:MAX_CAUSE_CHARACTERS] if rule.severity else ""


class Known(NamedTuple):
    """How many findings of a rule its tool counted, and in how many files: it hands in some of them."""

    findings: int = 0
    files: int = 0


UNKNOWN = Known()


def fold(cause: str, findings: Sequence[Finding], rule: Rule, known: Known = UNKNOWN) -> Finding:
    """Returns the findings of one cause as one."""
    findings = [finding for finding in findings if finding.status != "missing"] or findings
    total = _places_of(findings, known)
    inside = [finding for finding in findings if not finding.outside_scope]
    if inside and len(inside) < len(findings):
        findings, known = inside, UNKNOWN
    ordered = sorted(findings, key=_weight)
    first = ordered[0]
    places = list(dict.fromkeys(place for finding in ordered for place in finding.evidence))
    if cause:
        places.sort(key=lambda place: remoteness(place.path))
    found = max(len(ordered), known.findings)
    count = max(len(places), _places_of(findings, known)) if cause else found
    files = max(len({place.path for place in places}), known.files)
    severity = rule.severity or min((finding.severity for finding in ordered), key=SEVERITIES.index)
    if rule.severity and places and all(is_test(place.path) for place in places):
        severity = max(severity, MOST_SEVERE_IN_TESTS, key=SEVERITIES.index)  # it reaches no user
    listed = places[:MAX_PLACES]
    anchor, fingerprint = fingerprint_of_cause(cause) if cause else (first.anchor, first.fingerprint)
    return replace(
        first,
        severity=severity,
        title=_title(rule, first, count, files, found)[:MAX_TITLE_CHARACTERS],
        claim=_claim(rule, ordered),
        remedy=rule.remedy or first.remedy,
        evidence=tuple(places)[:MAX_EVIDENCE],
        found_by=tuple(dict.fromkeys(step for finding in ordered for step in finding.finders)),
        models=tuple(dict.fromkeys(model for finding in ordered for model in finding.models)),
        outside_scope=all(finding.outside_scope for finding in ordered),
        occurrence=0 if cause else first.occurrence,
        former_fingerprint="" if cause else first.former_fingerprint,
        anchor=anchor,
        fingerprint=fingerprint,
        help=next((finding.help for finding in ordered if finding.help), ""),
        calibrated=True,
        cause=cause,
        count=count if cause else 0,
        total=total if cause else 0,
        more_places=tuple(f"{place.path}:{place.first_line}" for place in listed[MAX_EVIDENCE:]) if cause else (),
        unlisted=count - len(listed) if cause and listed else 0,
    )


def _places_of(findings: Sequence[Finding], known: Known) -> int:
    """Returns in how many places findings are: two that stand in the same lines have one."""
    every = [place for finding in findings for place in finding.evidence]
    twice = len(every) - len(set(every))
    return max(1, len(findings) - twice, known.findings - twice)


def _title(rule: Rule, first: Finding, count: int, files: int, found: int) -> str:
    if found > 1 and rule.titles:
        lines = f" (on {count:,} {'line' if count == 1 else 'lines'})" if count < found else ""
        return filled(rule.titles, found, files) + lines
    own = first.title.rstrip(".") if not rule.title else rule.title if rule.fold else f"{rule.title}: {first.title}"
    return f"{own} ({count:,} places)" if count > 1 else own


def _claim(rule: Rule, findings: Sequence[Finding]) -> str:
    """Returns why a maintainer acts, and what the tool itself says of it."""
    if not rule.fold and not rule.title:
        said = [findings[0].claim.replace(rule.why, "").strip()]  # a lens may say the reason itself
    else:
        said = _own_words(findings, rule)
    return "\n\n".join(part for part in (rule.why, *said) if part)[:MAX_CLAIM_CHARACTERS]


def _own_words(findings: Sequence[Finding], rule: Rule) -> list[str]:
    """Returns what the tool says, where that is more than the title."""
    titles: dict[str, Finding] = {}
    for finding in findings:
        titles.setdefault(_whole(finding).rstrip(". "), finding)
    titles.pop(rule.title, None)
    tool = findings[0].rule.partition(":")[0]
    if not titles or (len(findings) == 1 and tool != LENS and not rule.title):  # the title has them
        return []
    shown = list(titles)[:MAX_TOLD_TITLES]
    if tool == LENS and len(titles) > 1:
        shown = [
            f"{title} ({place.path}:{place.first_line})" for title in shown for place in titles[title].evidence[:1]
        ]
    if len(titles) > MAX_TOLD_TITLES:
        shown.append(f"and {len(titles) - MAX_TOLD_TITLES} more")
    if max(map(len, shown)) > MAX_JOINED_CHARACTERS and len(shown) > 1:  # sentences, which are hard to read in a row
        return [f"{tool} says:" if tool != LENS else "", *(f"{_begun(one)}." for one in shown)]
    told = "; ".join(shown)
    return [f"{_begun(told) if tool == LENS else f'{tool} says: {told}'}."]


def _whole(finding: Finding) -> str:
    """Returns a finding's title; where it was cut, the claim that begins with all of it."""
    is_cut = finding.title.endswith("…") and finding.claim.startswith(finding.title[:-1])
    return finding.claim.partition("\n")[0] if is_cut else finding.title


def _begun(text: str) -> str:
    """Begins with a capital letter, unless the first word is a path or quoted."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+ ", text) else text


def _weight(finding: Finding) -> tuple[object, ...]:
    """Returns a key that puts findings in product code first, and of those what its tool thinks worse of."""
    gravity = SEVERITIES.index(finding.severity)
    for place in finding.evidence[:1]:
        return remoteness(place.path), gravity, place.path, place.first_line, finding.title
    return MOST_REMOTE, gravity, "", 0, finding.title
