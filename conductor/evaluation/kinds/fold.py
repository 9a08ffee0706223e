"""A step that brings results together: rendering its template, or merging the findings of what it needs.

Places in what it renders, and in what sceptics say, are judged here where no check of an agent's answer has seen them: an agent may
write what it likes into a text, an input or a result without a form. The first answer then names the files that they cite.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from conductor.evaluation.answers.coverage import Coverage, gather_coverage
from conductor.evaluation.answers.guards import judge_places, places_in
from conductor.evaluation.answers.typed_answers import Form, judge_json
from conductor.evaluation.evidence.citations import CitationCheck, cited_paths
from conductor.evaluation.evidence.findings import Finding, Found, count, read_document
from conductor.evaluation.evidence.merging import DEFAULT_MAX_FINDINGS, merge, order
from conductor.evaluation.evidence.rulings import Ruled, judge_by_rules
from conductor.evaluation.evidence.verdicts import join_verdicts
from conductor.evaluation.pinned import failed, read_files, read_kept_bundle, read_pinned, read_seen
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.checks.output_rules import has_schema, output_schema
from conductor.flows.language.markdown import cell
from conductor.flows.language.nesting import inner_steps
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import Bundle, canonical_json
from conductor.flows.library.rule_table import read_rule_table
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow

MAX_FOLD_BYTES = 4 * 1024 * 1024
MAX_LISTED_PLACES = 3


def fold(frame: Frame) -> Frame:
    """Renders a fold's template, or merges the findings of what it needs."""
    step = read_kept_bundle(frame.attachments[0]).step(frame.header["step"])
    return _merge(frame) if step.fold.HasField("merge") else _render(frame)


def _render(frame: Frame) -> Frame:
    step, names = read_seen(frame)
    try:
        text = render(step.fold.template, names)
    except TemplateError as error:
        return failed("FOLD_FAILED", f"the template of step {step.id} cannot be rendered: {error}")
    data = text.encode(errors="replace")
    if len(data) > MAX_FOLD_BYTES:
        return failed(
            "EVALUATION_LIMIT", f"the text of step {step.id} has {len(data)} bytes; the limit is {MAX_FOLD_BYTES}"
        )
    if not step.fold.HasField("output"):
        return Frame({"counts": {}}, (data, b"", b""))
    wrong = judge_json(data, Form(output_schema(step), step.fold.output.min_items))
    if wrong:
        return failed(
            "OUTPUT_INVALID", f"the template of step {step.id} does not render its output: {'; '.join(wrong)}"
        )
    value = json.loads(data)
    if not places_in(value):
        return Frame({"counts": {}}, (data, b"", data))
    return _judged(frame, [value]) or Frame({"counts": {}}, (data, b"", json.dumps(value).encode()))


def _merge(frame: Frame) -> Frame:
    """Merges the findings of what a step needs, with the verdicts of their sceptics where it names them."""
    bundle, inputs, results = read_pinned(frame)
    step = bundle.step(frame.header["step"])
    work = step.fold.merge
    needs = [need for need in step.needs if need in results and need != work.verdicts]
    given = read_document({"findings": [finding for need in needs for finding in results[need].findings]})
    coverage = gather_coverage(results[need].coverage for need in needs)
    ruled = _ruled(bundle, work.rules, given, coverage)
    limit = work.max_findings or DEFAULT_MAX_FINDINGS[inputs["band"]]
    if not work.verdicts:
        found = merge(ruled.others, limit, ruled.kept)
        return _merged(replace(found, coverage=ruled.coverage))
    asked = results[work.verdicts].items if work.verdicts in results else ()
    parent, dot, _ = frame.header["step"].rpartition(".")
    checked = _checked(bundle.step(f"{parent}{dot}{work.verdicts}"))
    if wanted := _judged(frame, _unchecked_outputs(asked, checked)):
        return wanted
    judged, notes = join_verdicts(merge(ruled.others, len(given), ruled.kept).findings, asked)
    ordered = order(judged, limit)
    return _merged(replace(ordered, notes=(*ordered.notes, *notes), coverage=ruled.coverage))


def _ruled(bundle: Bundle, rules: str, given: tuple[Finding, ...], coverage: tuple[Coverage, ...]) -> Ruled:
    """Returns findings as the merge's table of rules wants them; without a table as they are."""
    if not rules:
        return Ruled((), given, coverage)
    return judge_by_rules(given, read_rule_table(bundle.texts.rules[rules]), coverage)


def _merged(found: Found) -> Frame:
    return Frame({"counts": count(found.findings)}, (_listed(found).encode(), canonical_json(found.as_json()), b""))


def _judged(frame: Frame, values: list[Any]) -> Frame | None:
    """Judges the places in values; returns the request for the files that they cite where the frame has none."""
    if "files" not in frame.header:
        places = [place for value in values for place in places_in(value)]
        if paths := cited_paths(places):
            return Frame({"paths": paths})
    examiner = CitationCheck(read_files(frame))
    for value in values:
        judge_places(value, examiner.judge_place)
    return None


def _unchecked_outputs(items: Collection[Mapping[str, Any]], checked: Collection[str]) -> list[Any]:
    steps = [named for item in items for named in item["steps"].items()]
    return [value["output"] for name, value in steps if name not in checked and value.get("output") is not None]


def _checked(sceptics: Flow.Step) -> set[str]:
    """Returns the agents' steps among sceptics whose results were checked: those that declare a form."""
    return {step.id for step in inner_steps(sceptics) if step.WhichOneof("work") == "agent" and has_schema(step)}


def _listed(found: Found) -> str:
    """Returns merged findings as a text that later prompts can hold."""
    if not found.findings:
        return "No findings.\n"
    lines = [
        f"{number}. **{cell(finding.title)}** ({finding.severity}, {finding.status}, "
        f"{f'{finding.verdict}, ' if finding.verdict else ''}"
        f"found by {', '.join(finding.finders)})"
        + "".join(f"\n   - `{place.path}:{place.first_line}`" for place in finding.evidence[:MAX_LISTED_PLACES])
        + (f"\n   - and {finding.count - MAX_LISTED_PLACES:,} more" if finding.count > MAX_LISTED_PLACES else "")
        for number, finding in enumerate(found.findings, start=1)
    ]
    return "\n".join((*lines, *(f"\n{note}." for note in found.notes))) + "\n"


TASKS: Mapping[str, Task] = {"fold": fold}
