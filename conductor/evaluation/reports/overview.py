"""The first screen of a report: one line of scope, at most five things to do, then everything else in a line each.

A thing to do has a place, why it matters, and a remedy. What was not proven, was refuted, is dismissed or lies outside the change
under review is never one: it is seen too, with a mark that says why. It is pure, and works on the JSON of any version.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conductor.evaluation.evidence.findings import PROVEN
from conductor.evaluation.evidence.ranking import REFUTED
from conductor.evaluation.reports.asked import asked
from conductor.evaluation.reports.bands import beside, seen_too
from conductor.evaluation.reports.judged import judged

MAX_THINGS = 5
MAX_OTHER_PLACES = 4
MAX_VALUES, MAX_VALUE_CHARACTERS = 3, 80
PROSE = (".md", ".mdx", ".rst", ".adoc")
MAX_LINES = 40
MAX_WHY_CHARACTERS = 400
MAX_PATHS = 5
MAX_FINDERS = 5
LENS = "lens"  # the maker of rules of our own
_LEAST = "info"  # worth knowing, and nothing to do


def overview(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the first screen of a report with these values."""
    findings = values["findings"]
    todo = [finding for finding in findings if _is_to_do(finding)][:MAX_THINGS]
    rest = _without(findings, todo)
    lines = beside(rest, values["band"])
    return {
        "scope": scope(values),
        "asked": asked(values),
        "judged": judged(values),
        "todo": [_thing(finding) for finding in todo],
        "also": [line_of(finding) for finding in lines[:MAX_LINES]],
        "more": max(0, len(lines) - MAX_LINES),
        "seen_too": seen_too(_without(rest, lines), values["band"]),
    }


def scope(values: Mapping[str, Any]) -> str:
    """Returns one line about what was read, and by which flow."""
    workspace, snapshot = values["workspace"], values["snapshot"]
    covered = judged(values)
    parts = [f"{workspace['path']} at {_state(snapshot)}", *_limits(snapshot), *([covered["line"]] if covered else [])]
    steps = [step for step in values["steps"] if not step.get("parent") and step["state"] != "excluded"]
    done = sum(step["state"] == "succeeded" for step in steps)
    flow = f"flow {values['flow'].removeprefix('flows/')}, band {values['band']}"
    return "; ".join([*parts, flow, f"{done} of {len(steps)} {'step' if len(steps) == 1 else 'steps'} succeeded"])


def _state(snapshot: Mapping[str, Any]) -> str:
    head, dirty = snapshot["head_commit"], snapshot["dirty_count"]
    if not head:
        return f"snapshot {snapshot['commit'][:12]}"
    changes = f" with {dirty} uncommitted {'change' if dirty == 1 else 'changes'}" if dirty else ""
    return f"commit {head[:12]}{changes}"


def _limits(snapshot: Mapping[str, Any]) -> Iterator[str]:
    """Yields what narrows the scope. Reports of former versions name nothing."""
    number = snapshot.get("changed_count", 0)
    changed = f"{number} changed {'file' if number == 1 else 'files'}"
    match snapshot.get("scope", ""):
        case "diff":
            base = snapshot.get("base_revision") or snapshot.get("base_commit", "")[:12]
            yield f"only what changed since {base}: {changed}"
        case "uncommitted":
            yield f"only uncommitted changes: {changed}"
    if paths := snapshot.get("paths"):
        more = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
        yield f"only {', '.join(paths[:MAX_PATHS])}{more}"


def marks(finding: Mapping[str, Any]) -> list[str]:
    """Returns why a finding is less than it seems, in words; nothing where it is as good as any."""
    return list(_marks(finding))


def _marks(finding: Mapping[str, Any]) -> Iterator[str]:
    if finding["status"] == "missing":
        yield "its quote was not found" if finding["evidence"] else "no evidence was given"
    if finding.get("verdict") == REFUTED:
        yield REFUTED
    if finding.get("outside_scope"):
        yield "outside the change"
    if finding.get("dismissed"):
        yield f"dismissed: {finding['dismissed']}"


def falls_short(finding: Mapping[str, Any]) -> bool:
    """Returns whether a finding was refuted, or stands nowhere."""
    return finding["status"] == "missing" or finding.get("verdict") == REFUTED


def is_proven(finding: Mapping[str, Any]) -> bool:
    """Returns whether a finding's quotes were found, and no sceptic refuted it.

    A place without a quote of its tool counts where the flow's table of rules keeps the rule.
    """
    is_found = finding["status"] in PROVEN or (finding["status"] == "placed" and finding.get("calibrated", False))
    return is_found and not falls_short(finding)


def things_to_do(values: Mapping[str, Any]) -> list[str]:
    """Returns the things to do in a line each, for forms that have no first screen."""
    return [
        f"{number}. {thing['title']} ({thing['place']}), {thing['severity']}"
        + (f": {thing['remedy']}" if thing["remedy"] else "")
        for number, thing in enumerate(overview(values)["todo"], start=1)
    ]


def finders(finding: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Returns the rule of the tool, else the labels of the steps, that found a finding; empty where its category says the same."""
    tool, _, rule = finding.get("rule", "").partition(":")
    if rule and tool != LENS:
        return f"{tool} {rule}"
    if rule or finding["found_by"] == [finding["category"]]:
        return ""
    labels = {step["id"]: step["label"] for step in values["steps"]}
    names = list(dict.fromkeys(labels.get(step, step) for step in finding["found_by"]))
    more = len(names) - MAX_FINDERS
    return ", ".join(names[:MAX_FINDERS]) + (f" and {more} more" if more > 0 else "")


def place(evidence: Mapping[str, Any]) -> str:
    """Returns a place as people write it: the path, and the first line where the quote really stands."""
    return f"{evidence['path']}:{evidence.get('actual_start_line') or evidence['start_line']}"


def primary(finding: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the first evidence that was found, else the first."""
    found = (item for item in finding["evidence"] if item["status"] != "missing")
    return next(found, finding["evidence"][0] if finding["evidence"] else None)


def _without(findings: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    known = {id(finding) for finding in others}
    return [finding for finding in findings if id(finding) not in known]


def _is_to_do(finding: Mapping[str, Any]) -> bool:
    return finding["severity"] != _LEAST and not marks(finding)


def _thing(finding: Mapping[str, Any]) -> dict[str, Any]:
    # A table gives a reason for all findings of a rule; of a single one what its tool says belongs to it, where it is short.
    is_single = finding.get("calibrated") and finding.get("count", 0) <= 1
    paragraphs = 2 if is_single and len(_joined(finding["claim"], 2)) <= MAX_WHY_CHARACTERS else 1
    why = _why(finding["claim"], paragraphs)
    # A tool of the user's own may say one sentence only: once is enough.
    return {
        **line_of(finding),
        "why": "" if finding.get("rule") and why.rstrip(".") == finding["title"].rstrip(".") else why,
    }


def line_of(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a finding as a line shows it."""
    where = primary(finding)
    return {
        "id": finding["id"],
        "title": finding["title"],
        "severity": finding["severity"],
        "place": place(where) if where else "",
        "places": finding.get("count") or len(finding["evidence"]),
        "marks": marks(finding),
        "remedy": finding.get("remedy", ""),
    }


def other_places(finding: Mapping[str, Any]) -> list[str]:
    """Returns a few places beside the one that stands for a finding."""
    first = primary(finding)
    return [place(one) for one in finding["evidence"] if one is not first][:MAX_OTHER_PLACES]


def values(finding: Mapping[str, Any]) -> list[str]:
    """Returns a few short lines that stand at a finding's places, such as its image; none where its title names one."""
    if "`" in finding["title"]:
        return []
    places = [item for item in finding["evidence"] if item["status"] != "missing"]
    quotes = (item["quote"].strip() for item in places if not item["path"].endswith(PROSE))
    short = (quote for quote in quotes if quote and "\n" not in quote and len(quote) <= MAX_VALUE_CHARACTERS)
    return list(dict.fromkeys(quote for quote in short if not quote.startswith("name:")))[:MAX_VALUES]


def _why(claim: str, paragraphs: int) -> str:
    """Returns the first paragraphs of a claim, on one line, cut at the end of a sentence where they are long."""
    text = _joined(claim, paragraphs)
    if len(text) <= MAX_WHY_CHARACTERS:
        return text
    head = text[:MAX_WHY_CHARACTERS]
    sentence = head.rfind(". ")
    return head[: sentence + 1] if sentence > MAX_WHY_CHARACTERS // 3 else f"{head.rstrip()}…"


def _joined(claim: str, paragraphs: int) -> str:
    return " ".join(" ".join(claim.strip().split("\n\n")[:paragraphs]).split())
