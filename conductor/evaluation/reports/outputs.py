"""Evaluates the outputs of a flow when its run ends: named values for programs, and for a flow that called this one.

An output that cannot be evaluated is null, and the report says why. It fails no run: the work is done, and the rest is good.
"""

import json
from collections.abc import Mapping
from typing import Any

from conductor.flows.language.expressions import ExpressionError, evaluate
from conductor.v1 import flow_service_pb2

MAX_OUTPUTS_BYTES = 256 * 1024


def evaluate_outputs(flow: flow_service_pb2.Flow, names: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns the outputs by name, and a note for each that cannot be evaluated or is too large."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    room = MAX_OUTPUTS_BYTES
    for name in sorted(flow.outputs):
        found[name] = None
        try:
            value = evaluate(flow.outputs[name], names)
            size = len(json.dumps(value, allow_nan=False))
        except (ExpressionError, TypeError, ValueError, RecursionError) as error:
            notes.append(f"the output '{name}' cannot be evaluated: {error}"[:500])
            continue
        if size > room:
            notes.append(
                f"the output '{name}' is left out: all outputs together have at most {MAX_OUTPUTS_BYTES} bytes"
            )
            continue
        room -= size
        found[name] = value
    return found, notes
