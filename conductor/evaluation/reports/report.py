"""The report of a run: one set of values, as JSON for programs and rendered as Markdown for people.

Empty sections are left out; failures, skips and truncations are always reported (F6). Foreign texts (findings, questions, paths,
reasons) pass through a filter of `markdown`. It is pure. Everything that differs between equal runs is under `execution` and in the
Markdown's last section, "Execution": cut it off to compare two reports.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from conductor.evaluation.evidence.citations import Unread
from conductor.evaluation.evidence.findings import SEVERITIES, STATUSES, read_document
from conductor.evaluation.evidence.places import check_places, named_places
from conductor.evaluation.evidence.ranking import REFUTED, order
from conductor.evaluation.reports.asked import first_about
from conductor.evaluation.reports.bands import LARGE, is_in_full
from conductor.evaluation.reports.overview import falls_short, finders, line_of, other_places, overview
from conductor.evaluation.reports.overview import values as values_of
from conductor.evaluation.reports.results import Result, shortened, whole
from conductor.evaluation.reports.run_facts import list_answering
from conductor.evaluation.reports.shortening import leave_out, shorter
from conductor.evaluation.reports.unchecked import unchecked
from conductor.flows.language import markdown
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import Bundle, canonical_json

FORMAT = 1
# Markdown and JSON together stay below the default limit of gRPC clients (4 MiB).
MAX_REPORT_BYTES = 3 * 1024 * 1024
MAX_SHOWN_TEXT_CHARACTERS = 50_000
# Of all texts together: each is in the Markdown and in the JSON, with up to three bytes a character.
MAX_SHOWN_TEXTS_CHARACTERS = 400_000
# "No findings" says something about the code only if everything was judged.
LAST_SECTION = "Refuted, or not found in the snapshot"
UNJUDGED = ", but not everything could be judged"
UNFOUND = "whose quote was not found"
# Code compares quotes with files; whether a claim is true, it cannot.
CHECKED = "Quotes checked; conclusions are yours."


class ReportError(Exception):
    """The report cannot be rendered."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report, in Markdown and JSON."""

    markdown: str
    json: bytes

    @property
    def size(self) -> int:
        """Returns the size of both, in bytes."""
        return len(self.markdown.encode(errors="replace")) + len(self.json)


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a report: facts of the run, results of its steps, and the findings documents that count, by step."""

    facts: Mapping[str, Any]
    results: Mapping[str, Result]
    documents: Mapping[str, Mapping[str, Any]]
    notes: Mapping[str, Sequence[str]]
    files: Mapping[str, bytes | Unread | None] = field(default_factory=dict)  # those that the shown texts name
    outputs: Mapping[str, Any] = field(default_factory=dict)  # those that the flow declares


def build_report(bundle: Bundle, known: Mapping[str, Any], sources: Sources) -> Report:
    """Returns the report, shortened where it would be too long. Raises ReportError where the author's template fails.

    `known` are the names that a template sees beside `steps` and `report`.
    """
    values = _values(bundle, known["inputs"], sources)
    template = bundle.flow.report_template or _built_in()
    names = {**known, "steps": whole(sources.results)}
    # Values that are too large alone are not rendered to find that out.
    document = canonical_json(values)
    if len(document) <= MAX_REPORT_BYTES:
        report = Report(_markdown(template, values, names), document)
        if report.size <= MAX_REPORT_BYTES:
            return report
    bare = _shortened(template, leave_out(values, 0), names)
    for fewer in shorter(values, bare.size, MAX_REPORT_BYTES):
        report = _shortened(template, fewer, names)
        if report.size <= MAX_REPORT_BYTES:
            return report
    raise ReportError(f"the report has {report.size} bytes even when it is shortened; the limit is {MAX_REPORT_BYTES}")


def _shortened(template: str, values: Mapping[str, Any], names: Mapping[str, Any]) -> Report:
    return Report(_markdown(template, values, names), canonical_json(dict(values)))


def _markdown(template: str, values: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    try:
        text = render(template, {**names, "report": {**values, "sections": _sections(values)}})
    except TemplateError as error:
        raise ReportError(f"the report cannot be rendered: {error}") from error
    return _tidy(text)


def _sections(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the findings by severity; those that do not hold, or stand nowhere, come last and are named so."""
    findings = [{**finding, "finders": finders(finding, values)} for finding in values["findings"]]
    last = [finding for finding in findings if falls_short(finding)]
    sections = [
        _section(severity.capitalize(), found, values)
        for severity in SEVERITIES
        if (found := [one for one in findings if one["severity"] == severity and not falls_short(one)])
    ]
    told = [*sections, _section(LAST_SECTION, last, values)] if last else sections
    return [section for section in told if section["findings"] or section["lines"]]


def _section(title: str, found: Sequence[dict[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a section: how many findings it has, those that the band shows in full, and the others as lines."""
    first = {thing["id"]: thing["why"] for thing in values["overview"]["todo"]}
    shown = [
        {**one, "is_told": one["id"] in first, "rest": _rest(one["claim"], first.get(one["id"], ""))}
        for one in found
        if is_in_full(one, first, values["band"])
    ]
    others = [one for one in found if not is_in_full(one, first, values["band"])]
    lines = [
        {**line_of(one), "others": other_places(one), "values": values_of(one)}
        for one in (others if values["band"] == LARGE else ())
    ]
    told = len(shown) + len(lines)
    return {
        "title": title,
        "count": f"{told} of {len(found)}" if told < len(found) else f"{told}",
        "findings": shown,
        "lines": lines,
    }


def _rest(claim: str, why: str) -> str:
    """Returns a claim without its first paragraphs, where those are what the first screen says."""
    parts = claim.strip().split("\n\n")
    told = (number for number in (1, 2) if " ".join(" ".join(parts[:number]).split()) == why)
    return "\n\n".join(parts[next(told, 0) :])


def built_in_markdown(values: Mapping[str, Any]) -> str:
    """Returns the Markdown of stored values, as a flow without a template of its own has it."""
    return _markdown(_built_in(), values, {})


def _values(bundle: Bundle, inputs: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    facts = dict(sources.facts)
    found = [finding for document in sources.documents.values() for finding in document["findings"]]
    findings = [found[place] for place in order(read_document({"findings": found}))]
    texts = _texts(facts["steps"], sources)
    if any("coverage" in document for document in sources.documents.values()):
        findings = first_about(findings, facts["question"])
    coverage = [one for document in sources.documents.values() for one in document.get("coverage", ())]
    values = {
        **facts,
        **({"coverage": coverage} if coverage else {}),
        **({"outputs": dict(sources.outputs)} if sources.outputs else {}),
        "format": FORMAT,
        "title": bundle.flow.title or facts["flow"].removeprefix("flows/"),
        "inputs": dict(inputs),
        "verdict": _ended(facts) + _found(findings, sources, has_texts=bool(texts)) + _places_verdict(texts),
        "findings": findings,
        "counts": {status: sum(finding["status"] == status for finding in findings) for status in STATUSES},
        "severities": _severities(findings),
        "notes": [{"step": step, "text": text} for step, texts in sources.notes.items() for text in texts],
        "texts": texts,
    }
    not_checked = [item._asdict() for item in unchecked(values)]
    return {**values, "overview": overview(values), "not_checked": not_checked}


def _severities(findings: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {name: number for name in SEVERITIES if (number := sum(finding["severity"] == name for finding in findings))}


def _ended(facts: Mapping[str, Any]) -> str:
    """Returns a sentence about a run that did not end well in all its steps; nothing about any other."""
    steps = facts["steps"]
    failed = [step["label"] for step in steps if step["state"] == "failed"]
    match facts["outcome"]:
        case "failed":
            failure = facts["failure"] or {}
            where = f" in step {failure['step']}" if failure.get("step") else ""
            return f"The run failed{where} ({failure.get('reason', 'unknown')}); this report is incomplete. "
        case "cancelled":
            return "The run was cancelled; this report is incomplete. "
        case _ if failed:
            return f"{_counted(len(failed), 'step')} failed and the run went on without: {', '.join(failed)}. "
        case _:
            return ""


def _found(findings: Sequence[Mapping[str, Any]], sources: Sources, *, has_texts: bool) -> str:
    """Returns one or two sentences about what was found. Findings that cannot be read are never none."""
    unread = [step["label"] for step in sources.facts["steps"] if step["counts"]["unread"]]
    told = f"The findings of {', '.join(unread)} cannot be read: see what was not checked." if unread else ""
    if findings:
        return f"{_judged(findings)} {told}".rstrip()
    if told:
        return told
    if not sources.documents and sources.facts["outcome"] != "succeeded":
        return "Nothing was judged."
    if not sources.documents and has_texts:
        return "An answer in prose, without findings."
    steps = sources.facts["steps"]
    if any(sources.notes.values()) or any(step.get("answer_note") for step in steps):
        return f"No findings{UNJUDGED}: see what was not checked."
    return f"No findings{UNJUDGED if any(step.get('absent') for step in steps) else ''}."


def _judged(findings: Sequence[Mapping[str, Any]]) -> str:
    found = f"{_counted(len(findings), 'finding')} ({'; '.join(weighed(findings))})"
    counts = {status: sum(finding["status"] == status for finding in findings) for status in STATUSES}
    if counts["verified"] + counts["placed"] == len(findings):
        return f"{found}. {CHECKED}"
    judged = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    return f"{found}; citations: {judged}. {CHECKED}"


def weighed(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields how grave those are that stand, then how many do not stand or are outside the change: each counts once."""
    by_weight: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        by_weight.setdefault(_weight(finding), []).append(finding)
    grave = ", ".join(f"{number} {name}" for name, number in _severities(by_weight.get("", ())).items())
    outside = len(by_weight.get("outside", ()))
    if grave or outside:
        yield (grave or "none") + (" in the change" if outside else "")
    for weight in ("outside", "refuted", UNFOUND, "without evidence"):
        if number := len(by_weight.get(weight, ())):
            yield f"{number} {'whose quotes were not found' if weight == UNFOUND and number > 1 else weight}"


def _weight(finding: Mapping[str, Any]) -> str:
    """Returns why a finding does not count by its severity; empty where it does."""
    if finding["status"] == "missing":
        return UNFOUND if finding["evidence"] else "without evidence"
    if finding.get("verdict") == REFUTED:
        return "refuted"
    return "outside" if finding.get("outside_scope") else ""


def _texts(steps: Sequence[Mapping[str, Any]], sources: Sources) -> list[dict[str, Any]]:
    """Returns the texts of the last steps, where they are no lists of findings: they are the flow's answer."""
    last = list_answering(steps, sources.documents)
    # The texts of a hundred talkative agents are truncated; the run does not fail for them.
    most = min(MAX_SHOWN_TEXT_CHARACTERS, MAX_SHOWN_TEXTS_CHARACTERS // max(1, len(last)))
    return [
        {"step": step["id"], "label": step["label"], "kind": step["kind"], "text": text, **_places(text, sources)}
        for step in last
        if (text := _text(sources.results.get(step["id"]), most)).strip()
    ]


def paths_in_texts(sources: Sources) -> tuple[str, ...]:
    """Returns the files that the shown texts name, each once: what `Sources.files` must hold."""
    shown = _texts(sources.facts["steps"], sources)
    return tuple(dict.fromkeys(place.path for text in shown for place in named_places(text["text"])))


def _places(text: str, sources: Sources) -> dict[str, Any]:
    places = check_places(named_places(text), sources.files)
    return {"places": places} if places else {}


def _places_verdict(texts: Sequence[Mapping[str, Any]]) -> str:
    """Returns a sentence about the places that the answers name; nothing where they name none."""
    places = [place for text in texts for place in text.get("places", ())]
    if not places:
        return ""
    missing = sum(not place["exists"] for place in places)
    named = f" The answer names {_counted(len(places), 'place')}; "
    if not missing:
        return named + ("it exists." if len(places) == 1 else "all of them exist.")
    return f"{named}{missing} of them {'does' if missing == 1 else 'do'} not exist."


def _text(result: Result | None, most: int) -> str:
    return shortened(result.text, result.text_bytes, most) if result else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _built_in() -> str:
    return resources.files("conductor.evaluation.reports").joinpath("report.md.jinja").read_text("utf-8")


def _tidy(text: str) -> str:
    """Returns the text with at most one empty line in a row outside of code, and no space at the ends of lines."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        stripped = line.strip()
        run = len(stripped) - len(stripped.lstrip("`"))
        if fence:
            fence = "" if stripped == fence else fence
        elif run >= markdown.MIN_FENCE:
            fence = "`" * run
        elif not stripped and (not lines or not lines[-1]):
            continue
        lines.append(line if fence else line.rstrip())
    return "\n".join(lines).strip("\n") + "\n"
