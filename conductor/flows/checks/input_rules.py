"""Judges the inputs of a run against its flow, and fills in defaults. The inputs are JSON values.

Pure. It applies the author's schema, so it runs in a worker process (rule 5). It returns violations and raises nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from conductor.flows.checks.input_types import typed_inputs
from conductor.flows.checks.inputs import AUTO, Inputs, known_bands
from conductor.flows.language.schemas import input_violations, with_defaults
from conductor.v1 import flow_service_pb2

MAX_QUESTION_CHARACTERS = 64_000
MAX_INPUTS_BYTES = 256 * 1024
QUESTION_FIELD = "inputs.question"


def judge_inputs(flow: flow_service_pb2.Flow, given: Mapping[str, Any]) -> Inputs:
    """Returns the inputs with every violation."""
    if len(json.dumps(given, ensure_ascii=False).encode(errors="replace")) > MAX_INPUTS_BYTES:
        return Inputs(violations=(("inputs", f"are larger than {MAX_INPUTS_BYTES} bytes"),))
    schema = json_format.MessageToDict(flow.input_schema)
    extras = {name: value for name, value in given.items() if name not in ("question", "band")}
    extras, inexact = typed_inputs(schema, with_defaults(schema, extras))
    question, missing, wrong_question = _question(flow, given.get("question"))
    band, wrong_band = _band(flow, given.get("band"))
    violations = (*wrong_question, *wrong_band, *inexact, *input_violations(schema, extras))
    if violations:
        return Inputs(violations=violations, question_missing=missing)
    return Inputs({**extras, "question": question, "band": band}, band, question)


def _question(flow: flow_service_pb2.Flow, given: Any) -> tuple[str, bool, tuple[tuple[str, str], ...]]:
    """Returns the question, whether it is missing, and its violations."""
    if given is not None and not isinstance(given, str):
        return "", False, ((QUESTION_FIELD, "must be a string"),)
    question = (given or "").strip()
    # A blank question is a mistake of the caller, also where the flow needs none.
    if not question and (flow.question_required or given is not None):
        return (
            "",
            True,
            ((QUESTION_FIELD, f"must have 1 to {MAX_QUESTION_CHARACTERS} characters that are not blank"),),
        )
    if len(question) > MAX_QUESTION_CHARACTERS:
        return (
            "",
            False,
            ((QUESTION_FIELD, f"must have 1 to {MAX_QUESTION_CHARACTERS} characters, this has {len(question)}"),),
        )
    return question, False, ()


def _band(flow: flow_service_pb2.Flow, given: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Returns the band with its violations. The default is the smallest band that the flow knows."""
    known = known_bands(flow)
    if given is None or given == "":
        return known[0], ()
    if given in known or given == AUTO:
        return str(given), ()
    return "", (("inputs.band", f"must be one of {', '.join((*known, AUTO))}"),)
