"""No step has its own word believed about a quote: what no check of an answer has seen is judged by the fold. Keeps D6 F4."""

import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format

from conductor.evaluation.evidence.findings import Evidence, Finding
from conductor.evaluation.kinds.fold import fold
from conductor.evaluation.workers.frames import Frame
from conductor.flows.library.bundle import Texts, write_bundle
from conductor.v1.flow_service_pb2 import Flow

FOUND = Finding("high", "A lock", "It is held.", "risks", (Evidence("a.py", 1, 1, "x = 1", "verified"),), "look")
SAID = {"path": "a.py", "start_line": 2, "end_line": 2, "status": "verified", "actual_start_line": 2}
INVENTED, STANDING = {**SAID, "quote": "never so"}, {**SAID, "quote": "held = False", "status": "missing"}
FORM = {"schema": {"type": "object", "properties": {"verdict": {"type": "string"}}}}
ASKED = {"agents": ["reader"], "prompt": "Is it?"}
# How a sceptic's word may come into its output without a check of an agent's answer.
WAYS: dict[str, list[dict[str, Any]]] = {
    "an agent without a form": [{"id": "judge", "agent": ASKED}],
    "a sub-run": [{"id": "judge", "flow": {"flow": "flows/judge"}}],
    "a template with a form": [{"id": "judge", "fold": {"template": "{}", "output": FORM}}],
}


def folded(steps: list[dict[str, Any]], results: dict[str, Any], name: str) -> Frame:
    """Returns what a fold answers when it has got the files that it asked for."""
    bundle = write_bundle(json_format.ParseDict({"name": "flows/test", "steps": steps}, Flow()), Texts({}, {}))
    frame = Frame({"step": name}, (bundle, b'{"band": "small"}', json.dumps(results).encode(), b"[]"))
    wanted = fold(frame)
    assert list(wanted.header["paths"]) == ["a.py"]
    return fold(replace(frame, header={"step": name, "files": {"a.py": 4}}, attachments=(*frame.attachments, FILE)))


FILE = b"x = 1\nheld = False\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("place", "verdict"), [(INVENTED, "unsure"), (STANDING, "refuted")])
def test_a_refutation_counts_by_what_stands_in_the_file(way: str, place: dict[str, Any], verdict: str) -> None:
    steps = [
        {"id": "merged", "fold": {"merge": {}}},
        {"id": "sceptics", "foreach": {"items": "steps.merged.findings", "steps": WAYS[way]}},
        {"id": "ranked", "needs": ["merged", "sceptics"], "fold": {"merge": {"verdicts": "sceptics"}}},
    ]
    output = {"verdict": "REFUTED", "reason": "It is not.", "evidence": [place]}
    item = {"item": FOUND.as_json(), "state": "succeeded", "steps": {"judge": {"state": "succeeded", "output": output}}}
    results = {
        "merged": {"state": "succeeded", "findings": [FOUND.as_json()]},
        "sceptics": {"state": "succeeded", "items": [item]},
    }

    (finding,) = json.loads(folded(steps, results, "ranked").attachments[1])["findings"]

    assert finding["verdict"] == verdict
    assert [place["status"] for place in finding["verdict_evidence"]] == [
        "verified" if verdict == "refuted" else "missing"
    ]


def test_a_place_that_a_template_renders_gets_its_status_from_the_file() -> None:
    template = json.dumps({"verdict": "REFUTED", "evidence": [INVENTED, STANDING]})
    answer = folded([{"id": "told", "fold": {"template": template, "output": FORM}}], {}, "told")

    assert json.loads(answer.attachments[0])["evidence"][0]["status"] == "verified"  # the text stays as it is written
    assert [place["status"] for place in json.loads(answer.attachments[2])["evidence"]] == ["missing", "verified"]
