"""A step that brings results together: rendering its template, or merging the findings of what it needs."""

from collections.abc import Mapping
from dataclasses import replace

from conductor.evaluation.answers.typed_answers import Form, judge_json
from conductor.evaluation.evidence.findings import Found, count, read_document
from conductor.evaluation.evidence.merging import DEFAULT_MAX_FINDINGS, merge, order
from conductor.evaluation.evidence.verdicts import join_verdicts
from conductor.evaluation.pinned import failed, read_kept_bundle, read_pinned, read_seen
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.checks.output_rules import has_schema, output_schema
from conductor.flows.language.markdown import cell
from conductor.flows.language.nesting import inner_steps
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import canonical_json
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow

MAX_FOLD_BYTES = 4 * 1024 * 1024


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
    return Frame({"counts": {}}, (data, b"", data))


def _merge(frame: Frame) -> Frame:
    """Merges the findings of what a step needs, with the verdicts of their sceptics where it names them."""
    bundle, inputs, results = read_pinned(frame)
    step = bundle.step(frame.header["step"])
    work = step.fold.merge
    needs = [need for need in step.needs if need in results and need != work.verdicts]
    given = read_document({"findings": [finding for need in needs for finding in results[need].findings]})
    limit = work.max_findings or DEFAULT_MAX_FINDINGS[inputs["band"]]
    if not work.verdicts:
        found = merge(given, limit)
    else:
        asked = results[work.verdicts].items if work.verdicts in results else ()
        parent, dot, _ = frame.header["step"].rpartition(".")
        unchecked = _unchecked(bundle.step(f"{parent}{dot}{work.verdicts}"))
        judged, notes = join_verdicts(merge(given, len(given)).findings, asked, unchecked)
        ordered = order(judged, limit)
        found = replace(ordered, notes=(*ordered.notes, *notes))
    return Frame({"counts": count(found.findings)}, (_listed(found).encode(), canonical_json(found.as_json()), b""))


def _unchecked(sceptics: Flow.Step) -> set[str]:
    """Returns the agents' steps among sceptics that declare no form: their results stay as the agents wrote them."""
    steps = inner_steps(sceptics)
    return {step.id for step in steps if step.WhichOneof("work") == "agent" and not has_schema(step)}


def _listed(found: Found) -> str:
    """Returns merged findings as a text that later prompts can hold."""
    if not found.findings:
        return "No findings.\n"
    lines = [
        f"{number}. **{cell(finding.title)}** ({finding.severity}, {finding.status}, "
        f"{f'{finding.verdict}, ' if finding.verdict else ''}"
        f"found by {', '.join(finding.finders)})"
        + "".join(f"\n   - `{place.path}:{place.first_line}`" for place in finding.evidence[:3])
        for number, finding in enumerate(found.findings, start=1)
    ]
    return "\n".join((*lines, *(f"\n{note}." for note in found.notes))) + "\n"


TASKS: Mapping[str, Task] = {"fold": fold}
