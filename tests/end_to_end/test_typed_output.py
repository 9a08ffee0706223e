"""Typed output, seen from outside: from the answer of an agent to the guard and the prompt of the next. Keeps F3, F12 and A6."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format

from conductor.v1.run_service_pb2 import (
    Evidence,
    Finding,
    GetReportRequest,
    GetRunRequest,
    GetStepRequest,
    ListFindingsRequest,
    ListRunsRequest,
    Run,
    Step,
)
from conductor.v1.run_service_pb2_grpc import RunServiceStub
from tests.kit import flows
from tests.kit.services import Pair, running_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

FLOW = """\
title: Angles
steps:
  - id: angles
    agent:
      agents: [scripted]
      output: {schema: &angles {type: object, required: [list], properties: {list: {type: array, minItems: 2, items:
        {type: object, required: [name], properties: {name: {type: string}, why: {type: string}}}}, sure: {type: boolean}}}}
      prompt: |
        #scripted
        first say Only one: {"list": [{"name": "security"}]}
        first exit 0
        say Here they are:
        say ```json
        say {"list": [{"name": "security", "why": "keys"}, {"name": "tests",}]}
        say ```
  - id: one
    needs: [angles]
    skip_when: has(steps.angles.output.sure) || steps.angles.output.list.size() < 2
    agent:
      agents: [scripted]
      prompt: |
        #scripted
        say {{ steps.angles.output.list | map(attribute="name") | join(" and ") }} after {{ steps.angles.attempts }} attempts
  - id: none
    needs: [angles]
    skip_when: steps.angles.output.sure == null
    fold: {template: never}
  - id: lost
    agent:
      agents: [scripted]
      output: {schema: *angles, on_invalid: continue}
      prompt: |
        #scripted
        say I have none.
  - id: told
    needs: [lost, angles]
    fold:
      output: {schema: {type: object, required: [state], properties: {state: {type: string}, said: {type: string}}}}
      template: '{"state": "{{ steps.lost.error.reason }}", "said": {{ steps.lost.text | tojson }} }'
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "allowed").mkdir()
    with running_pair(folder, hosts=("alpha",), extra=("--root", str(folder / "allowed"))) as running:
        yield running


def command(pair: Pair, *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs `conductor` with these words."""
    asked = [sys.executable, "-m", "conductor.cli", "--address", pair.address, *words]
    return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=100)


def run_file(pair: Pair, folder: Path, text: str) -> tuple[int, str]:
    """Runs a flow file as a user does; returns the exit code, and the name of the run."""
    (folder / "flow.yaml").write_text(text)
    workspace = flows.plain_workspace(pair.folder / "allowed" / "w")
    done = command(pair, "run", str(folder / "flow.yaml"), str(workspace))
    with pair.channel() as channel:
        newest = RunServiceStub(channel).ListRuns(ListRunsRequest(page_size=1), timeout=10).runs[0].name
    return done.returncode, newest


@pytest.mark.long
def test_a_typed_output_reaches_guards_prompts_folds_and_callers(pair: Pair, tmp_path: Path) -> None:
    code, name = run_file(pair, tmp_path, FLOW)
    with pair.channel() as channel:
        stub = RunServiceStub(channel)
        run = stub.GetRun(GetRunRequest(name=name), timeout=10)
        steps = {
            step: stub.GetStep(GetStepRequest(name=f"{name}/steps/{step}"), timeout=10)
            for step in ("angles", "one", "none", "lost", "told")
        }

    assert (code, run.state) == (0, Run.STATE_SUCCEEDED)
    assert json_format.MessageToDict(steps["angles"].output) == {
        "list": [{"name": "security", "why": "keys"}, {"name": "tests"}]
    }
    assert "[{'name': 'security'}] is too short" in steps["angles"].repair.text
    shown = command(pair, "show", name, "angles").stdout
    assert '--- output ---\n{\n  "list": [' in shown
    assert steps["one"].text == "security and tests after 2 attempts\n"
    assert steps["none"].state == Step.STATE_SKIPPED
    assert steps["lost"].failure.reason == "OUTPUT_INVALID_AFTER_REPAIR"
    assert steps["lost"].text == "I have none.\n"
    assert json_format.MessageToDict(steps["told"].output) == {
        "state": "OUTPUT_INVALID_AFTER_REPAIR",
        "said": "I have none.\n",
    }


EVIDENCE = """\
title: Evidence
steps:
  - id: looked
    agent:
      agents: [scripted]
      output: {findings: true, min_items: 1}
      prompt: |
        #scripted
        finding high readme.txt 1 2 True
        first finding low readme.txt 3 3 Forgotten
        first invent high readme.txt 3 3 Invented
  - id: insists
    agent:
      agents: [scripted]
      output: {findings: true}
      prompt: |
        #scripted
        finding high readme.txt 1 2 True
        invent low readme.txt 3 3 Invented
  - id: talks
    agent:
      agents: [scripted]
      output: {findings: true}
      prompt: |
        #scripted
        first finding high readme.txt 1 2 True
        first invent low readme.txt 9 9 Invented
        say I found nothing more.
  - id: plain
    agent:
      agents: [scripted]
      contracts: [output]
      prompt: |
        #scripted
        say All is well, I believe.
  - id: sceptic
    agent:
      agents: [scripted]
      output:
        schema:
          type: object
          required: [verdict, evidence]
          properties:
            verdict: {enum: [CONFIRMED, REFUTED]}
            evidence: {type: array, items: {type: object, properties: {path: {type: string}, start_line: {type: integer},
              quote: {type: string}}}}
      prompt: |
        #scripted
        say {"verdict": "REFUTED", "evidence": [{"path": "readme.txt", "start_line": 1, "quote": "two"},
        say {"path": "readme.txt", "start_line": 3, "quote": "four"}]}
  - id: none
    needs: [sceptic]
    skip_when: steps.sceptic.output.evidence.exists(e, e.status == "missing" && e.reason.contains("line 3"))
    fold: {template: never}
"""


@pytest.mark.long
def test_evidence_that_is_not_found_is_sent_back_once_and_never_costs_what_was_found(
    pair: Pair, tmp_path: Path
) -> None:
    """Keeps F3, F4 and F12."""
    code, name = run_file(pair, tmp_path, EVIDENCE)
    with pair.channel() as channel:
        stub = RunServiceStub(channel)
        names = ("looked", "insists", "talks", "plain", "sceptic", "none")
        steps = {one: stub.GetStep(GetStepRequest(name=f"{name}/steps/{one}"), timeout=10) for one in names}
        report = stub.GetReport(GetReportRequest(name=name), timeout=10).markdown

    assert code == 0
    counts = {one: (step.finding_counts.verified, step.finding_counts.missing) for one, step in steps.items()}
    assert (counts["looked"], counts["insists"], counts["talks"]) == ((2, 0), (1, 1), (1, 1))
    assert [len(steps[one].attempts) for one in names] == [2, 2, 2, 1, 2, 0]
    assert "A program looked for your evidence" in steps["looked"].repair.text
    assert "finding 'Invented', readme.txt lines 3 to 3: " in steps["looked"].repair.text
    assert steps["insists"].output.struct_value["findings"][1]["status"] == "missing"
    assert "1 proven findings of the answer before its repair were kept" in report
    assert not steps["plain"].HasField("output")
    assert "plain cannot be read" in report
    evidence = json_format.MessageToDict(steps["sceptic"].output)["evidence"]
    assert [(place["status"], place.get("actual_start_line")) for place in evidence] == [
        ("moved", 2),
        ("missing", None),
    ]
    assert steps["none"].state == Step.STATE_SKIPPED


SCEPTICS = """\
title: Sceptics
steps:
  - id: first
    agent:
      agents: [scripted]
      contracts: [output]
      prompt: |
        #scripted
        finding critical readme.txt 1 1 Wrong alarm
        finding high readme.txt 2 2 Held up
        invent critical readme.txt 3 3 A lie
  - id: second
    agent:
      agents: [scripted]
      contracts: [output]
      prompt: |
        #scripted
        finding high readme.txt 3 3 Bluffed away
  - id: merged
    needs: [first, second]
    fold: {merge: {}}
  - id: sceptics
    needs: [merged]
    foreach:
      items: steps.merged.findings
      as: finding
      max_items: 3
      min_success: 0
      steps:
        - id: judge
          agent:
            agents: [scripted]
            output:
              schema:
                type: object
                required: [verdict, reason]
                properties:
                  verdict: {enum: [CONFIRMED, PARTLY, REFUTED, UNSURE]}
                  reason: {type: string}
                  evidence: {type: array, items: {type: object, required: [path, quote, start_line]}}
            prompt: |
              #scripted
              {% if finding.title == "Wrong alarm" %}
              say {"verdict": "REFUTED", "reason": "It is two.",
              say "evidence": [{"path": "readme.txt", "start_line": 2, "quote": "two"}]}
              {% elif finding.title == "Bluffed away" %}
              say {"verdict": "REFUTED", "reason": "Trust me.",
              say "evidence": [{"path": "readme.txt", "start_line": 1, "quote": "nowhere at all"}]}
              {% else %}
              say {"verdict": "CONFIRMED", "reason": "I looked."}
              {% endif %}
  - id: ranked
    needs: [merged, sceptics]
    fold: {merge: {verdicts: sceptics}}
"""


def test_sceptics_are_children_and_their_verdicts_reach_the_ranking(pair: Pair, tmp_path: Path) -> None:
    """Keeps F4 and F5: planted lies are caught, and a refutation without a quote that is found refutes nothing."""
    code, name = run_file(pair, tmp_path, SCEPTICS)
    with pair.channel() as channel:
        stub = RunServiceStub(channel)
        found = stub.ListFindings(ListFindingsRequest(parent=name), timeout=10).findings
        report = stub.GetReport(GetReportRequest(name=name), timeout=10).markdown

    assert code == 0
    told = {one.title: (one.rank, Finding.Verdict.Name(one.verdict).removeprefix("VERDICT_")) for one in found}
    assert told == {
        "Held up": (1, "CONFIRMED"),
        "Bluffed away": (2, "UNSURE"),
        "A lie": (3, "UNSPECIFIED"),
        "Wrong alarm": (4, "REFUTED"),
    }
    by_title = {one.title: one for one in found}
    assert by_title["Wrong alarm"].verdict_evidence[0].status == Evidence.STATUS_VERIFIED
    assert by_title["Bluffed away"].verdict_evidence[0].status == Evidence.STATUS_MISSING
    assert "does not count" in by_title["Bluffed away"].verdict_reason
    assert by_title["A lie"].status == Evidence.STATUS_MISSING
    assert report.index("Held up") < report.index("### Refuted, or not found in the snapshot (2)")
    assert "1 of 4 findings reached no sceptic" in report
    assert "1 refutation does not count: its counter-quotes were not found" in report
