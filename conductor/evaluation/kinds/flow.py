"""A step that runs another flow: evaluating its inputs, and bringing together what its sub-run reported and found."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from conductor.core.numbers import decidable
from conductor.evaluation.evidence.findings import MAX_NOTES, Found, count, read_document, tell_apart
from conductor.evaluation.launching import exclude_steps
from conductor.evaluation.pinned import failed, read_kept_bundle, read_seen
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.checks.input_rules import judge_inputs
from conductor.flows.kinds.flow import band_of, flow_name
from conductor.flows.language.expressions import ExpressionError, evaluate
from conductor.flows.library.bundle import canonical_json, write_bundle
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow

CALL_FAILED = "CALL_FAILED"
# The heading of a report's last section: how and where it ran, which differs between equal runs.
EXECUTION = "\n## Execution\n"


def call(frame: Frame) -> Frame:
    """Evaluates the inputs of a called flow; returns the bundle, the inputs and the flow of its sub-run."""
    step, seen = read_seen(frame)
    called = read_kept_bundle(frame.attachments[0]).called(flow_name(step.flow.flow))
    try:
        given = {"question": seen["inputs"].get("question") or None, **_evaluated(step, decidable(seen))}
    except ExpressionError as error:
        return failed(CALL_FAILED, f"the inputs of step {step.id} cannot be evaluated: {error}")
    judged = judge_inputs(called.flow, {**given, "band": band_of(step, called.flow, seen["band"])})
    excluded, violations = exclude_steps(called.flow, judged)
    if violations:
        told = "; ".join(f"{field} {text}" for field, text in violations)
        return failed(CALL_FAILED, f"the inputs of step {step.id} do not fit {called.flow.name}: {told}")
    header = {"excluded": excluded, "band": judged.band, "question": judged.question}
    pinned = write_bundle(called.flow, called.texts, called.calls)
    return Frame(header, (pinned, canonical_json(judged.values), called.flow.SerializeToString()))


def collect(frame: Frame) -> Frame:
    """Brings together the report of a sub-run, the findings of its steps that count, and its outputs."""
    step, report, outputs = frame.header["step"], frame.attachments[0], frame.attachments[2]
    text = report.decode(errors="replace").rpartition(EXECUTION)[0] or report.decode(errors="replace")
    documents: Mapping[str, dict[str, Any]] = json.loads(frame.attachments[1])
    if not documents:
        return Frame({"counts": {}}, (text.encode(errors="replace"), b"", outputs))
    findings = tell_apart(
        replace(finding, step=step, found_by=tuple(f"{step}.{one}" for one in finding.finders))
        for document in documents.values()
        for finding in read_document(document)
    )
    notes = tuple(dict.fromkeys(note for document in documents.values() for note in document.get("notes", ())))
    left_out = sum(document.get("left_out", 0) for document in documents.values())
    unread = sum(bool(document.get("unread")) for document in documents.values())
    found = Found(findings, left_out, notes[:MAX_NOTES], unread=bool(unread) and not findings)
    counts = {**count(findings), "unread": unread}
    return Frame({"counts": counts}, (text.encode(errors="replace"), canonical_json(found.as_json()), outputs))


def _evaluated(step: Flow.Step, names: Mapping[str, Any]) -> dict[str, Any]:
    given = json_format.MessageToDict(step.flow.inputs)
    return {name: evaluate(value, names) if isinstance(value, str) else value for name, value in given.items()}


TASKS: Mapping[str, Task] = {"call": call, "collect": collect}
