"""What a worker can be asked, by name: values in, values out. Failures of authors and agents are answers, not errors.

Each task gets a frame and gives the answer's. `failed` in its header holds a reason of the error table and a message.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from conductor.evaluation.evidence.citations import CitationCheck, Unread, cited_paths
from conductor.evaluation.evidence.findings import Found, ResultError, count, read_document, read_result
from conductor.evaluation.evidence.merging import DEFAULT_MAX_FINDINGS, merge
from conductor.evaluation.prompts import PromptError, build_prompt
from conductor.evaluation.reports.report import ReportError, Sources, build_report
from conductor.evaluation.reports.results import Result, read_results, whole
from conductor.evaluation.workers.frames import Frame
from conductor.flows.checks.input_rules import judge_inputs
from conductor.flows.checks.judgement import Judgement, Library
from conductor.flows.checks.validation import judge_message, judge_text
from conductor.flows.language.expressions import ExpressionError, decide
from conductor.flows.language.markdown import cell
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import Bundle, canonical_json, read_bundle
from conductor.v1 import flow_service_pb2

MAX_FOLD_BYTES = 4 * 1024 * 1024
# A flow is asked about once for each of its steps, and reading one of 200 steps takes 2 ms. What is kept is bounded, so
# that it is no part of what an evaluation may fail by: some ten megabytes of 512.
KEPT_BUNDLES = 8
MAX_KEPT_BUNDLE_BYTES = 256 * 1024

Task = Callable[[Frame], Frame]


def judge_flow_text(frame: Frame) -> Frame:
    """Validates the text of a flow file."""
    return _judgement(judge_text(frame.attachments[0], frame.header["path"], _library(frame.header)))


def judge_flow_message(frame: Frame) -> Frame:
    """Validates a flow that came as a message."""
    flow = flow_service_pb2.Flow.FromString(frame.attachments[0])
    return _judgement(judge_message(flow, frame.header["path"], _library(frame.header)))


def launch(frame: Frame) -> Frame:
    """Judges the inputs of a run, and decides which steps are excluded."""
    bundle = _bundle(frame.attachments[0])
    inputs = judge_inputs(bundle.flow, frame.header["inputs"])
    excluded: dict[str, str] = {}
    violations = list(inputs.violations)
    for step in bundle.flow.steps if not violations else ():
        if step.exclude_when:
            try:
                if decide(step.exclude_when, {"inputs": inputs.values, "band": inputs.band}):
                    excluded[step.id] = f"exclude_when is true: {step.exclude_when.strip()}"
            except ExpressionError as error:
                violations.append(("inputs", f"exclude_when of step {step.id} cannot be decided: {error}"))
    header = {"violations": violations, "question_missing": inputs.question_missing, "excluded": excluded}
    return Frame({**header, "band": inputs.band, "question": inputs.question}, (canonical_json(inputs.values),))


def guard(frame: Frame) -> Frame:
    """Decides `skip_when`."""
    bundle, inputs, results = _pinned(frame)
    step = bundle.step(frame.header["step"])
    values = {"inputs": inputs, "band": inputs["band"], "steps": whole(results)}
    try:
        skips = decide(step.skip_when, values)
    except ExpressionError as error:
        return _failed("GUARD_FAILED", f"skip_when of step {step.id} cannot be decided: {error}")
    return Frame({"skip": skips, "reason": f"skip_when is true: {step.skip_when.strip()}" if skips else ""})


def prompt(frame: Frame) -> Frame:
    """Builds a prompt."""
    bundle, inputs, results = _pinned(frame)
    try:
        text = build_prompt(bundle, frame.header["step"], inputs, results)
    except PromptError as error:
        return _failed("PROMPT_BUILD_FAILED", str(error))
    return Frame({}, (text.encode(errors="replace"),))


def fold(frame: Frame) -> Frame:
    """Renders a fold's template, or merges the findings of what it needs."""
    bundle, inputs, results = _pinned(frame)
    step = bundle.step(frame.header["step"])
    if step.fold.HasField("merge"):
        given = [finding for need in step.needs if need in results for finding in results[need].findings]
        limit = step.fold.merge.max_findings or DEFAULT_MAX_FINDINGS[inputs["band"]]
        found = merge(read_document({"findings": given}), limit)
        document = canonical_json(found.as_json())
        return Frame({"counts": count(found.findings)}, (_listed(found).encode(), document))
    try:
        text = render(step.fold.template, {"inputs": inputs, "band": inputs["band"], "steps": whole(results)})
    except TemplateError as error:
        return _failed("FOLD_FAILED", f"the template of step {step.id} cannot be rendered: {error}")
    data = text.encode(errors="replace")
    if len(data) > MAX_FOLD_BYTES:
        return _failed(
            "EVALUATION_LIMIT", f"the text of step {step.id} has {len(data)} bytes; the limit is {MAX_FOLD_BYTES}"
        )
    return Frame({"counts": {}}, (data, b""))


def cite(frame: Frame) -> Frame:
    """Tells which files a result cites."""
    try:
        found = read_result(frame.attachments[0], frame.header["step"])
    except ResultError as error:
        return _failed("OUTPUT_INVALID", str(error))
    return Frame({"has_findings": found is not None, "paths": cited_paths(found.findings) if found else ()})


def check(frame: Frame) -> Frame:
    """Checks a result's citations in the files that it cites."""
    found = read_result(frame.attachments[0], frame.header["step"])
    if found is None:
        return Frame({"counts": {}}, (b"",))
    contents = frame.attachments
    files: dict[str, bytes | Unread | None] = {path: contents[index] for path, index in frame.header["files"].items()}
    files |= {path: Unread(reason) for path, reason in frame.header["unread"].items()}
    examiner = CitationCheck(files)
    checked = tuple(examiner.judge(finding) for finding in found.findings)
    document = Found(checked, found.left_out, found.notes).as_json()
    return Frame({"counts": count(checked)}, (canonical_json(document),))


def report(frame: Frame) -> Frame:
    """Renders the report."""
    bundle, inputs, results = _pinned(frame)
    header = frame.header
    sources = Sources(header["facts"], results, header["documents"], header["notes"])
    try:
        made = build_report(bundle, inputs, sources)
    except ReportError as error:
        return _failed("REPORT_FAILED", str(error))
    # Told with the report that says it, so that the run and its report are of one mind.
    changes = header["facts"]["workspace"]["changes"]
    return Frame({"workspace_changes": changes}, (made.markdown.encode(errors="replace"), made.json))


TASKS: Mapping[str, Task] = {
    "judge_text": judge_flow_text,
    "judge_message": judge_flow_message,
    "launch": launch,
    "guard": guard,
    "prompt": prompt,
    "fold": fold,
    "cite": cite,
    "check": check,
    "report": report,
}


def _pinned(frame: Frame) -> tuple[Bundle, dict[str, Any], dict[str, Result]]:
    """What a run was started with, and the results that came since."""
    bundle, inputs, results = frame.attachments
    return _bundle(bundle), json.loads(inputs), read_results(json.loads(results))


def _bundle(data: bytes) -> Bundle:
    """The bundle in these bytes. Not to be changed: the next task may get the same."""
    return _kept_bundle(data) if len(data) <= MAX_KEPT_BUNDLE_BYTES else read_bundle(data)


@lru_cache(KEPT_BUNDLES)
def _kept_bundle(data: bytes) -> Bundle:
    return read_bundle(data)


def _library(header: Mapping[str, Any]) -> Library:
    return Library(frozenset(header["personas"]), frozenset(header["contracts"]))


def _judgement(judgement: Judgement) -> Frame:
    problems = [(problem.path, problem.line, problem.field, problem.text) for problem in judgement.problems]
    return Frame({"problems": problems}, (judgement.flow.SerializeToString() if judgement.flow else b"",))


def _failed(reason: str, message: str) -> Frame:
    return Frame({"failed": {"reason": reason, "message": message}})


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
