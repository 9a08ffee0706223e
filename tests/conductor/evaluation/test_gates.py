"""What a gate shows is rendered once, and whole or not at all. Keeps H1."""

import json

import pytest

from conductor.evaluation.kinds.gate import MAX_SHOW_BYTES, show
from conductor.evaluation.workers.frames import Frame
from conductor.flows.library.bundle import Texts, write_bundle
from conductor.v1.flow_service_pb2 import Flow, FoldWork, GateWork

RESULTS = {
    "cut": {"state": "succeeded", "text": "only the beginning", "text_bytes": 2_000_000},
    "whole": {"state": "succeeded", "text": "äll", "text_bytes": 4},
    "items": {
        "state": "succeeded",
        "items": [
            {"item": 1, "state": "succeeded", "steps": {"part": {"state": "succeeded", "text": "x", "text_bytes": 9}}}
        ],
    },
}


def shown(template: str) -> Frame:
    steps = [Flow.Step(id=name, fold=FoldWork(template="x")) for name in RESULTS]
    gate = Flow.Step(id="gate", needs=list(RESULTS), gate=GateWork(show=template))
    bundle = write_bundle(Flow(name="flows/test", steps=[*steps, gate]), Texts({}, {}))
    inputs = json.dumps({"band": "small", "question": "why?"}).encode()
    return show(Frame({"step": "gate"}, (bundle, inputs, json.dumps(RESULTS).encode())))


def test_a_person_reads_results_and_inputs() -> None:
    assert shown("{{ inputs.question }} {{ steps.whole.text }} {{ steps.cut.state }}").attachments == (
        "why? äll succeeded".encode(),
    )


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ steps.cut.text }}", "the text of step cut has 2000000 bytes, too many to be shown whole"),
        ("{{ steps.cut.get('text') }}", "the text of step cut has 2000000 bytes, too many to be shown whole"),
        (
            "{% for one in steps['items']['items'] %}{{ one.steps.part.text }}{% endfor %}",
            "the text of step part has 9 bytes",
        ),
        (
            "{{ 'x' * " + str(MAX_SHOW_BYTES + 1) + " }}",
            f"has {MAX_SHOW_BYTES + 1} bytes, and a person must see all of it",
        ),
        ("{{ steps.whole.nothing.more }}", "line 1"),
    ],
)
def test_what_would_have_to_be_cut_is_not_shown_at_all(template: str, why: str) -> None:
    failed = shown(template).header["failed"]

    assert failed["reason"] == "SHOW_FAILED"
    assert why in failed["message"]
