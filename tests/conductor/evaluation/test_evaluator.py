"""The evaluator over a real store and real snapshots. Keeps A6 A8 A9 A10 C2 F1 F2 F4."""

import asyncio
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.states import AttemptState
from conductor.core.model.work import (
    Checked,
    Folded,
    OutputInvalid,
    Work,
    WorkFailed,
    WorkKind,
)
from conductor.evaluation import retrying
from conductor.evaluation.pinned import read_kept_bundle
from conductor.evaluation.workers import limits
from conductor.flows.library.bundle import write_bundle
from conductor.flows.library.library import Texts
from conductor.v1.flow_service_pb2 import Flow
from tests.conductor.evaluation.story import RUN, Story, agent, claim, flow_of, fold, merge

pytestmark = pytest.mark.processes

FILE = "one\ntwo\nthree\nfour\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "a.py").write_text(FILE)
    (folder / "windows.txt").write_bytes(FILE.replace("\n", "\r\n").encode())
    (folder / "binary").write_bytes(b"\0\1one\n")
    (folder / "folder").mkdir()
    (folder / "folder" / "b.py").write_text(FILE)
    (folder / "link.py").symlink_to("a.py")
    (folder / "outside.py").symlink_to("/etc/passwd")
    (folder / "large.txt").write_bytes(b"one\n" + b"x" * (limits.MAX_CITED_FILE_BYTES + 1))
    return folder


async def test_one_right_one_shifted_one_invented_are_verified_moved_and_missing(story: Story, workspace: Path) -> None:
    """Keeps F4."""
    await story.begin(flow_of(agent("risks")), workspace)
    claims = [
        claim("right", lines=(2, 3), quote="two\nthree"),
        claim("shifted", lines=(1, 1), quote="four"),
        claim("invented", quote="five"),
    ]
    answer = await story.agent("risks", result={"findings": claims})

    assert isinstance(answer, Checked)
    assert answer.counts == FindingCounts(verified=1, moved=1, missing=1)
    found = {finding["title"]: finding for finding in story.findings(answer)}
    assert {title: finding["status"] for title, finding in found.items()} == {
        "right": "verified",
        "shifted": "moved",
        "invented": "missing",
    }
    assert found["shifted"]["evidence"][0]["actual_start_line"] == 4
    assert all(len(finding["id"]) == 16 and finding["step"] == "risks" for finding in found.values())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("windows.txt", ""),
        ("./folder/b.py", ""),
        ("/workspace/a.py", ""),
        ("link.py", "it is no regular file"),
        ("outside.py", "it is no regular file"),
        ("folder", "it is no regular file"),
        ("binary", "this file is not text"),
        ("large.txt", "it is larger than 4 MiB"),
        ("../workspace/a.py", "its path is not inside the snapshot"),
        ("/etc/passwd", "its path is not inside the snapshot"),
        ("a.py\0", "its path is not inside the snapshot"),
        ("*.py", "there is no file *.py"),
        (":(glob)a.py", "there is no file :(glob)a.py"),
        ("-a.py", "there is no file -a.py"),
        ("\udc80", "there is no file \\x80"),
    ],
)
async def test_only_regular_files_of_the_snapshot_are_evidence(
    story: Story, workspace: Path, path: str, reason: str
) -> None:
    """Keeps F4."""
    await story.begin(flow_of(agent("risks")), workspace)
    (finding,) = story.findings(await story.agent("risks", result={"findings": [claim(path=path)]}))

    assert finding["status"] == ("missing" if reason else "verified")
    assert finding["evidence"][0].get("reason", "") == reason


async def test_evidence_is_checked_in_the_snapshot_and_not_in_what_the_file_became(
    story: Story, workspace: Path
) -> None:
    """Keeps F4 J1."""
    await story.begin(flow_of(agent("risks")), workspace)
    (workspace / "a.py").write_text("changed\n")
    answer = await story.agent("risks", result={"findings": [claim(quote="one"), claim("new", quote="changed")]})

    assert [finding["status"] for finding in story.findings(answer)] == ["verified", "missing"]


async def test_a_check_that_finds_no_descriptor_is_made_again_and_the_agent_is_not(
    story: Story, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its result is stored: what this process lacks for a moment must not cost another attempt."""
    monkeypatch.setattr(retrying, "SHORTAGE_PAUSES_SECONDS", (0.1,) * 100)
    await story.begin(flow_of(agent("risks")), workspace)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    asyncio.get_running_loop().call_later(0.5, resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    with capture_logs() as lines:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))  # the database needs one
        answer = await story.agent("risks", result={"findings": [claim(quote="one")]})

    assert [finding["status"] for finding in story.findings(answer)] == ["verified"]
    assert any(line["event"] == "evaluation_read_failed" and "Too many open files" in line["error"] for line in lines)


@pytest.mark.parametrize("result", [None, {}, {"answer": 42}])
async def test_an_agent_without_findings_is_checked_and_gives_none(
    story: Story, workspace: Path, result: dict[str, int] | None
) -> None:
    await story.begin(flow_of(agent("risks")), workspace)

    assert await story.agent("risks", says="hello", result=result) == Checked()


async def test_an_empty_list_of_findings_is_a_list(story: Story, workspace: Path) -> None:
    await story.begin(flow_of(agent("risks")), workspace)
    answer = await story.agent("risks", result={"findings": []})

    assert story.findings(answer) == []


@pytest.mark.parametrize("result", [b"[[[", b'{"findings": 3}', b'{"findings": ["x"]}', b"[" * 500_000])
async def test_a_result_that_cannot_be_read_fails_its_step(story: Story, workspace: Path, result: bytes) -> None:
    """Keeps F4."""
    await story.begin(flow_of(agent("risks")), workspace)
    answer = await story.agent("risks", result=result)

    assert isinstance(answer, OutputInvalid)
    assert (answer.failure.reason, answer.failure.step) == ("OUTPUT_INVALID", "risks")


async def test_what_is_wrong_with_a_result_is_told_to_the_agent_that_must_repair_it(
    story: Story, workspace: Path
) -> None:
    """Keeps F3: the request quotes the errors; a new attempt is shown its former answer as data."""
    await story.begin(flow_of(agent("risks", prompt="Look for risks.")), workspace)
    bad = {"severity": "awful", "title": "eval", "evidence": []}
    answer = await story.agent("risks", says="It is eval.", result={"findings": [bad, "none"]})

    assert isinstance(answer, OutputInvalid)
    told, asked = story.blobs[answer.prompt].decode(), story.blobs[answer.input].decode()
    errors = ["- findings[0] was left out: severity must be one of", "- findings[1] was left out: it is not an object"]
    assert all(error in text for text in (told, asked) for error in errors)
    assert "It is eval." not in asked
    assert told.startswith("Look for risks.")
    assert told.endswith(asked)
    _, _, fenced = told.partition("<<< ")
    mark, _, former = fenced.partition("\n")
    assert former.partition(f"\n>>> {mark}")[0] == f"It is eval.\n{json.dumps({'findings': [bad, 'none']})}"


async def test_an_answer_to_a_prompt_that_leaves_no_room_for_it_is_not_repaired(story: Story, workspace: Path) -> None:
    await story.begin(flow_of(agent("risks", prompt="{{ 'x' * 1048500 }}")), workspace)
    answer = await story.agent("risks", says="No.", result=b"[[[")

    assert isinstance(answer, OutputInvalid)
    assert (answer.prompt, answer.input) == ("", "")


async def test_folds_see_what_they_need_and_merge_its_findings(story: Story, workspace: Path) -> None:
    flow = flow_of(
        agent("risks"),
        agent("docs"),
        merge("merged", "risks", "docs"),
        fold("told", "{{ steps.merged.findings | length }} {{ steps.risks.state }} {{ steps.docs.text }}", "merged"),
    )
    await story.begin(flow, workspace)
    await story.agent(
        "risks",
        result={"findings": [claim("The same thing"), claim("Worse", lines=(3, 3), quote="three", severity="high")]},
    )
    await story.agent("docs", says="read", result={"findings": [claim("The same thing", category="docs")]})
    merged = await story.fold("merged")
    told = await story.fold("told")

    assert isinstance(merged, Folded)
    assert [finding["title"] for finding in story.findings(merged)] == ["Worse", "The same thing"]
    assert story.findings(merged)[1]["found_by"] == ["docs", "risks"]
    assert merged.counts == FindingCounts(verified=2)
    assert (
        story.blobs[merged.text].decode().startswith("1. **Worse** (high, verified, found by risks)\n   - `a.py:3`\n")
    )
    assert isinstance(told, Folded)
    assert (story.blobs[told.text], told.findings) == (b"2 succeeded read", "")


async def test_a_merge_judges_by_the_table_that_its_run_began_with_and_passes_coverage_on(
    story: Story, workspace: Path, tmp_path: Path
) -> None:
    """Keeps A8 F4: the table is pinned as personas are, and a tool's place gets its lines from the snapshot."""
    table = tmp_path / ".conductor" / "flows" / "mine" / "rules.toml"
    table.parent.mkdir(parents=True)
    table.write_text('[ruff.F821]\nseverity = "low"\nwhy = "It raises NameError."\ntitles = "{count} unknown names"\n')
    flow = flow_of(agent("lint"), merge("merged", "lint", rules="mine/rules.toml"))
    await story.begin(flow, workspace, project=tmp_path)
    table.write_text('[ruff.F821]\ndrop = "Changed meanwhile."\n')
    places = [claim("Unknown", lines=(line, line), quote="", rule="ruff:F821") for line in (1, 3)]
    coverage = {"tool": "ruff 1", "rules": {"ruff:F821": 70, "ruff:E501": 9}}
    noise = claim("Long", quote="", rule="ruff:E501")
    await story.agent("lint", result={"findings": [*places, noise], "coverage": coverage})
    merged = await story.fold("merged")

    (finding,) = story.findings(merged)
    assert (finding["title"], finding["severity"], finding["status"]) == ("70 unknown names", "low", "placed")
    assert [place["quote"] for place in finding["evidence"]] == ["one", "three"]
    assert isinstance(merged, Folded)
    assert story.blobs[merged.text].decode().endswith("   - `a.py:1`\n   - `a.py:3`\n   - and 67 more\n")
    told = {"step": "lint", "agent": "survey", **coverage, "dropped": {"ruff:E501": 9}}
    assert json.loads(story.blobs[merged.findings])["coverage"] == [told]


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        ({"agent": "ruff", "names_places": True}, "placed"),
        ({"agent": "ruff"}, "missing"),
        ({"agent": "survey"}, "placed"),  # of a host that does not say which agents are tools
        ({"agent": "survey", "pool": "gpu0", "model": "small"}, "missing"),
        ({"agent": "reader", "names_places": True, "pool": "gpu0", "model": "small"}, "missing"),
    ],
)
async def test_only_a_tool_without_a_model_names_places_and_tells_its_coverage(
    story: Story, workspace: Path, attempt: dict[str, Any], status: str
) -> None:
    """Keeps F4."""
    await story.begin(flow_of(agent("a")), workspace)
    posing = {"rule": "ruff:F821", "help": "https://example.org/"}
    result = {"findings": [claim(quote="", **posing)], "coverage": {"tool": "x", "judged": {"Python": 1}}}
    checked = await story.agent("a", result=result, **attempt)

    assert isinstance(checked, Checked)
    document = json.loads(story.blobs[checked.findings])
    (finding,) = document["findings"]
    assert (finding["status"], "coverage" in document) == (status, status == "placed")
    assert ("rule" in finding, "help" in finding) == ("pool" not in attempt, "pool" not in attempt)


async def test_a_failed_step_gives_its_state_and_nothing_else(story: Story, workspace: Path) -> None:
    flow = flow_of(
        agent("a", on_failure=Flow.ON_FAILURE_CONTINUE),
        fold("b", "{{ steps.a.state }}|{{ steps.a.text }}|{{ steps.a.findings }}|{{ steps.a.output }}", "a"),
    )
    await story.begin(flow, workspace)
    await story.agent("a", says="half a", state=AttemptState.FAILED)
    answer = await story.fold("b")

    assert isinstance(answer, Folded)
    assert story.blobs[answer.text] == b"failed||[]|None"


async def test_inputs_are_judged_with_every_wrong_field(story: Story) -> None:
    """Keeps A10."""
    launch = await story.evaluator.launch(
        write_bundle(flow_of(agent("a"), question_required=True), Texts({}, {})), {"band": "x", "y": 1}
    )

    assert [field for field, _ in launch.inputs.violations] == ["inputs.question", "inputs.band", "inputs"]
    assert launch.inputs.question_missing


async def test_a_question_that_waits_is_not_asked_twice(story: Story, workspace: Path) -> None:
    await story.begin(flow_of(agent("a")), workspace)
    work = Work(RUN, WorkKind.PROMPT, "a")
    for _ in range(5):
        story.evaluator.ask(work)
    await story.answers.get()
    # A second question of the same run is answered after whatever was asked before it.
    await story.ask(WorkKind.CHECK, "a", "none")

    assert story.answers.empty()


async def test_whatever_breaks_a_run_gets_its_answer(story: Story, workspace: Path) -> None:
    await story.begin(flow_of(agent("a")), workspace)
    unknown = await story.ask(WorkKind.PROMPT, "nowhere")
    story.evaluator.ask(Work("01jd00000000000000000000zz", WorkKind.REPORT))
    lost = (await story.answers.get()).result.answer

    assert isinstance(unknown, WorkFailed)
    assert unknown.failure.reason == "PROMPT_BUILD_FAILED"
    assert isinstance(lost, WorkFailed)
    assert lost.failure.reason == "REPORT_FAILED"


async def test_prompts_of_many_steps_are_all_answered(story: Story, workspace: Path) -> None:
    steps = [agent(f"s{number}", f"number {number}") for number in range(60)]
    await story.begin(flow_of(*steps), workspace)
    for step in steps:
        story.evaluator.ask(Work(RUN, WorkKind.PROMPT, step.id))
    answered = [await asyncio.wait_for(story.answers.get(), 30) for _ in steps]

    texts = {result.result.work.step: result.blobs[0].data for result in answered}
    assert texts == {f"s{number}": f"number {number}\n".encode() for number in range(60)}


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_a_bundle_is_read_once_for_all_steps_of_a_run_also_where_it_is_large(size: int) -> None:
    pinned = write_bundle(flow_of(fold("a", "x" * size)), Texts({}, {}))

    assert read_kept_bundle(pinned) is read_kept_bundle(bytes(bytearray(pinned)))


def test_a_bundle_is_canonical() -> None:
    """Keeps A9."""
    flow = flow_of(agent("a", parameters={"b": "1", "a": "2"}))
    data = write_bundle(flow, Texts({"p": "é"}, {}))

    assert json.loads(data)["personas"] == {"p": "é"}
    assert data == write_bundle(flow_of(agent("a", parameters={"a": "2", "b": "1"})), Texts({"p": "é"}, {}))


async def test_an_agent_s_own_notes_are_no_complaints_about_its_findings(story: Story, workspace: Path) -> None:
    """Keeps F3 and F4: only what was left out, or was not found, is sent back."""
    step = agent("first")
    step.agent.output.findings = True
    await story.begin(flow_of(step, agent("second", needs=("first",))), workspace)
    answer = await story.agent("first", result={"findings": [claim()], "notes": ["I did not look at the tests."]})

    assert isinstance(answer, Checked)
    assert answer.output == answer.findings
    assert json.loads(story.blobs[answer.output])["notes"] == ["I did not look at the tests."]


async def test_an_answer_with_too_few_findings_is_sent_back(story: Story, workspace: Path) -> None:
    """Keeps F3."""
    step = agent("first")
    step.agent.output.findings, step.agent.output.min_items = True, 2
    await story.begin(flow_of(step), workspace)
    answer = await story.agent("first", result={"findings": [claim()]})

    assert isinstance(answer, OutputInvalid)
    assert answer.failure.message == "it has 1 finding, and at least 2 are asked for"
