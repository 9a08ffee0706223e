"""A step that brings results together: rendering its template, or merging the findings of what it needs."""

from collections.abc import Mapping

from conductor.evaluation.evidence.findings import Found, count, read_document
from conductor.evaluation.evidence.merging import DEFAULT_MAX_FINDINGS, merge
from conductor.evaluation.evidence.typed_answers import Form, judge_json
from conductor.evaluation.pinned import failed, read_names, read_pinned
from conductor.evaluation.reports.results import whole
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.checks.output_rules import output_schema
from conductor.flows.language.markdown import cell
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import canonical_json

MAX_FOLD_BYTES = 4 * 1024 * 1024


def fold(frame: Frame) -> Frame:
    """Renders a fold's template, or merges the findings of what it needs."""
    bundle, inputs, results = read_pinned(frame)
    step = bundle.step(frame.header["step"])
    if step.fold.HasField("merge"):
        given = [finding for need in step.needs if need in results for finding in results[need].findings]
        limit = step.fold.merge.max_findings or DEFAULT_MAX_FINDINGS[inputs["band"]]
        found = merge(read_document({"findings": given}), limit)
        document = canonical_json(found.as_json())
        return Frame({"counts": count(found.findings)}, (_listed(found).encode(), document, b""))
    try:
        names = {**read_names(frame), "inputs": inputs, "band": inputs["band"], "steps": whole(results)}
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


def _listed(found: Found) -> str:
    """Merged findings as a text that later prompts can hold."""
    if not found.findings:
        return "No findings.\n"
    lines = [
        f"{number}. **{cell(finding.title)}** ({finding.severity}, {finding.status}, "
        f"found by {', '.join(finding.found_by or (finding.step,))})"
        + "".join(
            f"\n   - `{place.path}:{place.actual_start_line or place.start_line}`" for place in finding.evidence[:3]
        )
        for number, finding in enumerate(found.findings, start=1)
    ]
    return "\n".join((*lines, *(f"\n{note}." for note in found.notes))) + "\n"


TASKS: Mapping[str, Task] = {"fold": fold}
