"""The tasks of a worker, by name: pure functions of a frame. Mistakes of authors and agents are answers, not errors.

Each task gets a frame and returns the answer's. `failed` in an answer's header holds a reason of the error table and a message.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conductor.core.numbers import decidable
from conductor.evaluation.answers.typed_answers import Form, judge_json
from conductor.evaluation.kinds.table import KINDS
from conductor.evaluation.launching import exclude_steps
from conductor.evaluation.pinned import (
    failed,
    read_files,
    read_kept_bundle,
    read_pinned,
    read_run,
    read_seen,
    read_snapshot,
)
from conductor.evaluation.reports.formats.cited_files import CitedFiles, cited_paths
from conductor.evaluation.reports.formats.options import read_options
from conductor.evaluation.reports.formats.table import TooLargeError, render_report
from conductor.evaluation.reports.outputs import evaluate_outputs
from conductor.evaluation.reports.report import ReportError, Sources, build_report, paths_in_texts
from conductor.evaluation.reports.results import whole
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.checks.band_choice import choose_band
from conductor.flows.checks.input_rules import judge_inputs
from conductor.flows.checks.inputs import AUTO
from conductor.flows.checks.judgement import Judgement, Library
from conductor.flows.checks.output_rules import output_schema, output_spec
from conductor.flows.checks.validation import judge_message, judge_text
from conductor.flows.language.expressions import ExpressionError, decide
from conductor.flows.library.bundle import canonical_json
from conductor.v1 import flow_service_pb2


def judge_flow_text(frame: Frame) -> Frame:
    """Validates the text of a flow file."""
    return _judgement(judge_text(frame.attachments[0], frame.header["path"], _library(frame.header)))


def judge_flow_message(frame: Frame) -> Frame:
    """Validates a flow that came as a message."""
    flow = flow_service_pb2.Flow.FromString(frame.attachments[0])
    return _judgement(judge_message(flow, frame.header["path"], _library(frame.header)))


def launch(frame: Frame) -> Frame:
    """Judges the inputs of a run, and decides which steps are excluded."""
    bundle = read_kept_bundle(frame.attachments[0])
    inputs = judge_inputs(bundle.flow, frame.header["inputs"])
    band_reason = ""
    if inputs.band == AUTO and not inputs.violations:
        try:
            band, band_reason = choose_band(bundle.flow, inputs.values, frame.header["signals"])
            inputs = replace(inputs, values={**inputs.values, "band": band}, band=band)
        except ExpressionError as error:
            wrong = ("inputs.band", f"a rule for the band cannot be decided: {error}")
            inputs = replace(inputs, violations=(wrong,))
    excluded, violations = exclude_steps(bundle.flow, inputs)
    header = {"violations": violations, "question_missing": inputs.question_missing, "excluded": excluded}
    header["band_reason"] = band_reason
    return Frame({**header, "band": inputs.band, "question": inputs.question}, (canonical_json(inputs.values),))


def guard(frame: Frame) -> Frame:
    """Decides `skip_when`."""
    step, names = read_seen(frame)
    try:
        skips = decide(step.skip_when, decidable(names))
    except ExpressionError as error:
        return failed("GUARD_FAILED", f"skip_when of step {step.id} cannot be decided: {error}")
    return Frame({"skip": skips, "reason": f"skip_when is true: {step.skip_when.strip()}" if skips else ""})


def edit(frame: Frame) -> Frame:
    """Judges what a person gives in the place of a step's output."""
    text, bundle = frame.attachments
    step = read_kept_bundle(bundle).step(frame.header["step"])
    spec = output_spec(step)
    return Frame({"errors": judge_json(text, Form(output_schema(step), spec.min_items)) if spec is not None else ()})


def report(frame: Frame) -> Frame:
    """Renders the report. Behind the pinned attachments come the files that its texts name."""
    bundle, inputs, results = read_pinned(frame)
    header = frame.header
    files = read_files(frame)
    known = {"inputs": inputs, "band": inputs["band"], "snapshot": read_snapshot(frame), "run": read_run(frame)}
    outputs, lost = evaluate_outputs(bundle.flow, decidable({**known, "steps": whole(results)}))
    notes = {**header["notes"], **({"outputs": lost} if lost else {})}
    sources = Sources(header["facts"], results, header["documents"], notes, files, outputs)
    try:
        made = build_report(bundle, known, sources)
    except ReportError as error:
        return failed("REPORT_FAILED", str(error))
    # Returned with the report, so that the run and its report agree.
    changes = header["facts"]["workspace"]["changes"]
    named = canonical_json(outputs) if outputs else b""
    return Frame({"workspace_changes": changes}, (made.markdown.encode(errors="replace"), made.json, named))


def places(frame: Frame) -> Frame:
    """Tells which files the texts of a report name."""
    _, _, results = read_pinned(frame)
    header = frame.header
    return Frame({"paths": paths_in_texts(Sources(header["facts"], results, header["documents"], header["notes"]))})


def cited(frame: Frame) -> Frame:
    """Tells which files the findings of a stored report cite."""
    return Frame({"paths": cited_paths(json.loads(frame.attachments[0]))})


def render_stored(frame: Frame) -> Frame:
    """Renders a stored report in another form. Behind it come the files that it cites."""
    header, values = frame.header, json.loads(frame.attachments[0])
    try:
        body = render_report(header["form"], values, CitedFiles(read_files(frame)), read_options(header["options"]))
    except TooLargeError as error:
        return failed("EVALUATION_LIMIT", str(error))
    return Frame({}, (body,))


def _library(header: Mapping[str, Any]) -> Library:
    unusable = frozenset((name, why) for name, why in header["unusable"])
    tables = frozenset((name, path, text) for name, path, text in header["tables"])
    return Library(frozenset(header["personas"]), frozenset(header["contracts"]), unusable, tables)


def _judgement(judgement: Judgement) -> Frame:
    problems = [(problem.path, problem.line, problem.field, problem.text) for problem in judgement.problems]
    header = {"problems": problems, "lines": dict(judgement.lines)}
    return Frame(header, (judgement.draft.SerializeToString() if judgement.draft else b"",))


TASKS: Mapping[str, Task] = {
    "judge_text": judge_flow_text,
    "judge_message": judge_flow_message,
    "launch": launch,
    "guard": guard,
    "places": places,
    "report": report,
    "edit": edit,
    "cited": cited,
    "render": render_stored,
} | {name: task for tasks in KINDS.values() for name, task in tasks.items()}
