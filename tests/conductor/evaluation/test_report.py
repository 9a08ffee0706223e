"""The report: what its reader sees, word for word, and what may differ between two equal runs. Keeps F6 C4 E10 K1.

`golden/` holds whole reports. After an intended change: delete one, run this test twice, and read the difference.
"""

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import RunCancelRequested, StepCancelled, StepFailed, StepRequeued
from conductor.core.model.states import AttemptState, Failure
from conductor.core.model.work import Reported, WorkKind
from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.html import render_html
from conductor.evaluation.reports.formats.options import Options
from conductor.evaluation.reports.report import built_in_markdown, weighed
from conductor.evaluation.reports.unchecked import unchecked
from conductor.v1.flow_service_pb2 import Flow, GateWork
from tests.conductor.evaluation.golden_reports import same_as_golden
from tests.conductor.evaluation.story import Story, agent, claim, flow_of, fold, merge, telling

pytestmark = pytest.mark.processes

HOSTILE = "# Owned <script>alert(1)</script> ![x](http://example.org/x) \x1b[2J | ``` `"


def without_execution(markdown: str) -> str:
    return markdown.partition("\n## Execution\n")[0]


async def tell_everything(
    story: Story, workspace: Path, *, hosts: tuple[str, str] = ("alpha", "beta"), pause: float = 0.0
) -> None:
    flow = flow_of(
        agent("risks", label="Risks"),
        agent("docs", label="Docs", on_failure=Flow.ON_FAILURE_CONTINUE),
        agent("tests", label="Tests", on_failure=Flow.ON_FAILURE_CONTINUE),
        agent("deep", label="Deep look", exclude_when='band == "small"'),
        agent("again", label="Again", needs=("risks",), skip_when="steps.risks.findings.size() > 0"),
        merge("merged", "risks", "docs", "tests", max_findings=6),
        title="A look at <everything>",
    )
    await story.begin(flow, workspace, question="Is it *safe*?\n# And sound?")
    story.time += pause
    fence = "```sh\nrm -rf /\n```\n````\n<script>"
    shown = {"path": "notes.md", "start_line": 3, "end_line": 7, "quote": fence}
    places = [
        {"path": "a.py", "start_line": 1, "end_line": 1, "quote": "four"},
        {"path": "../a.py", "start_line": 1, "end_line": 2, "quote": "one\ntwo"},
    ]
    claims = [
        claim("The plain one", lines=(2, 3), quote="two\nthree", severity="high"),
        claim(
            HOSTILE,
            claim=f"{HOSTILE}\n\n- second\n\n{HOSTILE}",
            evidence=[shown],
            severity="critical",
            category=HOSTILE,
        ),
        claim("Two places", evidence=places),
        claim("Invented", quote="nothing of the kind"),
        claim("Without a place", evidence=[], severity="low"),
        claim("Broken", severity="urgent"),
    ]
    await story.agent("risks", says="I looked.", result={"findings": claims}, host=hosts[0])
    story.time += pause
    shared = claim("The plain one, too", lines=(3, 4), quote="three\nfour", category="docs")
    await story.agent(
        "docs", result={"findings": [shared, claim("Minor", path="a.py", lines=(1, 1), severity="info")]}, host=hosts[1]
    )
    await story.agent("tests", state=AttemptState.FAILED, host=hosts[1])
    await story.guard("again")
    await story.fold("merged")


async def test_a_whole_report_reads_as_it_should(story: Story, workspace: Path) -> None:
    """Keeps F6 C4."""
    await tell_everything(story, workspace)
    markdown, values = await story.report()

    same_as_golden("everything.md", markdown, workspace)
    same_as_golden("everything.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n", workspace)


async def test_nothing_of_a_repository_s_text_is_live_in_a_report(story: Story, workspace: Path) -> None:
    """Keeps F6 E10."""
    await tell_everything(story, workspace)
    markdown, _ = await story.report()
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    kinds = {token.type for token in parsed} | {child.type for token in parsed for child in token.children or ()}
    headings = [
        parsed[index + 1].content
        for index, token in enumerate(parsed)
        if token.type == "heading_open" and token.tag != "h4"
    ]

    assert not kinds & {"html_block", "html_inline", "link_open", "image"}
    assert "\x1b" not in markdown
    assert headings == [
        "A look at \\<everything>",
        "What to do first",
        "Also seen",
        "Findings",
        "Critical (1)",
        "High (1)",
        "Medium (1)",
        "Info (1)",
        "Refuted, or not found in the snapshot (2)",
        "What was not checked",
        "What ran",
        "What was read",
        "Execution",
        "Confinement of survey on alpha, beta",
    ]


async def test_hosts_times_and_attempts_differ_in_one_section_only(workspace: Path, tmp_path: Path) -> None:
    """Keeps F6: a run that was killed and went on reports the same."""
    reports = []
    for number, hosts in enumerate((("alpha", "beta"), ("beta", "gamma"))):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        async with telling(folder) as story:
            story.run = f"01jd{number:022d}"
            await tell_everything(story, workspace, hosts=hosts, pause=30.0 * number)
            reports.append(await story.report())
    (first, first_values), (second, second_values) = reports

    assert first != second
    assert without_execution(first) == without_execution(second)
    assert first_values.pop("execution") != second_values.pop("execution")
    assert first_values == second_values


async def test_the_same_question_gives_the_same_report(story: Story, workspace: Path) -> None:
    """Keeps F6."""
    await tell_everything(story, workspace)

    assert await story.report() == await story.report()


async def test_what_agents_could_not_judge_is_told_once_for_all_who_say_it(story: Story, workspace: Path) -> None:
    """Keeps F6: silence is not praise."""
    await story.begin(flow_of(agent("risks"), agent("tests"), merge("merged", "risks", "tests")), workspace)
    await story.agent("risks", result={"findings": [], "notes": ["Not read: 1 too large."]})
    await story.agent(
        "tests", result={"findings": [claim()], "notes": ["No rule for <Rust>.", "Not read: 1 too large."]}
    )
    await story.fold("merged")
    markdown, values = await story.report()

    assert "\n- **risks, tests**: Not read: 1 too large.\n- **tests**: No rule for \\<Rust>.\n" in markdown
    assert {"step": "tests", "text": "No rule for <Rust>."} in values["notes"]


async def test_that_nothing_was_found_is_no_praise_where_there_was_nothing_to_judge(
    story: Story, workspace: Path
) -> None:
    """Keeps F6: the verdict is what a reader in a hurry sees."""
    await story.begin(flow_of(agent("risks")), workspace)
    await story.agent("risks", result={"findings": [], "notes": ["The snapshot is empty: there is nothing to judge."]})
    markdown, values = await story.report()

    assert values["verdict"] == "No findings, but not everything could be judged: see what was not checked."
    assert f"**{values['verdict']}**" in markdown
    assert "## What was not checked\n\n- **risks**: The snapshot is empty" in markdown


async def test_what_changed_in_the_users_tree_is_warned_of_and_is_as_inert_as_all_else(
    story: Story, workspace: Path
) -> None:
    """Keeps B14 and F6."""
    await story.begin(flow_of(agent("risks")), workspace)
    await story.agent("risks", says="x")
    for name in ("b`<i>.py", *(f"new-{number:02}" for number in range(30))):
        (workspace / name).write_text("x")
    answer = await story.ask(WorkKind.REPORT)
    assert isinstance(answer, Reported)
    markdown, changes = story.blobs[answer.markdown].decode(), answer.workspace_changes
    assert changes is not None
    kinds = {token.type for token in MarkdownIt("commonmark").parse(markdown)}

    assert (changes.count, len(changes.paths), changes.paths[0]) == (31, 20, "b`<i>.py")
    assert (
        "**Warning: 31 paths of the workspace changed while the run was at work.** This report is about the state"
        in markdown
    )
    assert "``b`<i>.py``, `new-00`, " in markdown
    assert "`new-01` and 28 more" in markdown
    assert "`new-02`" not in markdown
    assert "still as it was" not in markdown
    assert not kinds & {"html_block", "html_inline"}
    assert json.loads(story.blobs[answer.json])["workspace"]["changes"]["paths"] == list(changes.paths)


async def test_a_failed_run_says_so_first_and_shows_what_there_is(story: Story, workspace: Path) -> None:
    """Keeps F6."""
    await story.begin(flow_of(agent("risks"), agent("docs"), agent("later", needs=("docs",))), workspace)
    await story.agent("risks", result={"findings": [claim()]})
    await story.agent("docs", state=AttemptState.FAILED)
    await story.tell(StepCancelled("later", "step docs failed"))
    markdown, values = await story.report()

    same_as_golden("failed.md", markdown, workspace)
    assert (values["outcome"], values["failure"]["step"]) == ("failed", "docs")


async def test_a_cancelled_run_says_so(story: Story, workspace: Path) -> None:
    """Keeps F6."""
    await story.begin(flow_of(agent("risks")), workspace)
    await story.tell(RunCancelRequested("enough"), StepCancelled("risks", "enough"))
    markdown, values = await story.report()

    assert values["outcome"] == "cancelled"
    assert "**The run was cancelled; this report is incomplete. Nothing was judged.**" in markdown
    assert "- **risks** was cancelled: enough" in markdown
    assert "No attempt was made" in markdown
    assert "## What ran" not in markdown
    assert "## Findings" not in markdown


async def test_each_step_stands_where_it_belongs_by_whether_its_work_began(story: Story, workspace: Path) -> None:
    """Keeps F6: what was stopped at work did run, and what never left its queue did not.

    Whether it was at work or between two attempts is not told: trouble on the way decides that, and no report may show trouble.
    """
    await story.begin(flow_of(*(agent(name) for name in ("done", "stopped", "paused", "unplaced", "later"))), workspace)
    await story.agent("done", says="x")
    attempt = await story.start("stopped")
    await story.tell(AttemptEnded("stopped", attempt, AttemptState.CANCELLED), StepCancelled("stopped", "out of time"))
    attempt = await story.start("paused")
    broken = Failure("SHIM_LOST", "It is gone.")
    await story.tell(
        AttemptEnded("paused", attempt, AttemptState.FAILED, broken),
        StepRequeued("paused", broken, 9.0, "infrastructure", 1, 3),
        StepCancelled("paused", "out of time"),
    )
    await story.prompt("unplaced")
    await story.tell(
        StepFailed("unplaced", Failure("QUEUE_TIMEOUT", "It waited 3 s.")), StepCancelled("later", "out of time")
    )
    markdown, values = await story.report()
    unchecked, _, behind = markdown.partition("\n## What was not checked\n")[2].partition("\n## What ran\n")
    ran = behind.partition("\n## ")[0]

    assert [step["began"] for step in values["steps"]] == [True, True, True, False, False]
    assert ("| done |" in ran, "stopped" in ran, "unplaced" in ran) == (True, False, False)
    assert unchecked.strip().splitlines() == [
        "- **stopped** was cancelled after it had begun: out of time",
        "- **paused** was cancelled after it had begun: out of time",
        "- **unplaced** failed before it began: It waited 3 s. (QUEUE_TIMEOUT)",
        "- **later** was cancelled: out of time",
    ]


async def test_the_report_tells_who_decided_at_a_gate(story: Story, workspace: Path) -> None:
    """Keeps F6: the decision of a person may differ between equal runs, and stands under Execution."""
    await story.begin(flow_of(Flow.Step(id="agree", gate=GateWork(title="Go on?", show="x"))), workspace)
    await story.gate("agree", by="ann", comment="fine | <b>")
    markdown, values = await story.report()
    html = render_html(values, CitedFiles({}), Options())

    (told,) = values["execution"]["decisions"]
    assert (told["step"], told["outcome"], told["resolver"], told["comment"]) == (
        "agree",
        "approve",
        "ann",
        "fine | <b>",
    )
    assert "- Gate of agree, agree: approve by ann: fine" in markdown.partition("\n## Execution\n")[2]
    assert "<strong>agree</strong>, agree: approve by ann: fine | &lt;b&gt;</p>" in html


def test_a_note_is_told_of_the_step_that_made_it_and_not_of_those_around_it() -> None:
    steps = [{"id": "look", "parent": ""}, {"id": "look.0.find", "parent": "look"}, {"id": "other", "parent": ""}]
    notes = [{"step": name, "text": "Too short."} for name in ("look", "look.0.find", "other")]
    plain = {"reason": "", "failure": None, "state": "succeeded", "began": True, "answer_truncated": False}
    told = unchecked({"steps": [{**plain, **step, "label": step["id"]} for step in steps], "notes": notes})

    assert told == [("look.0.find, other", ": Too short.")]


async def test_the_report_says_when_it_was_and_which_steps_each_confinement_held(story: Story, workspace: Path) -> None:
    """Keeps F6: where that may differ between equal runs, under Execution."""
    await story.begin(flow_of(*(agent(f"s{number}") for number in range(22))), workspace)
    for number in range(22):
        await story.agent(f"s{number}", says="x", host="beta" if number else "alpha")
    markdown, values = await story.report()
    before, _, execution = markdown.partition("\n## Execution\n")

    assert values["execution"]["create_time"] == "1970-01-12T13:46:42Z"
    assert f"- Run `{story.run}`, asked for on 1970-01-12 13:46:42 UTC; its last step ended " in execution
    assert "1970" not in before
    assert "### Confinement of survey on alpha, beta\n\n- Steps s0, s1, s2, " in execution
    assert ", s19 and 2 more\n" in execution


async def test_a_check_that_every_confinement_held_is_told_once(story: Story, workspace: Path) -> None:
    await story.begin(flow_of(agent("a")), workspace)
    await story.agent("a", says="x")
    _, values = await story.report()
    (group,) = values["execution"]["confinement"]
    others = [group | {"agents": [name], "checks": ["no network", f"/opt/{name}: proven"]} for name in ("b", "c")]
    markdown = built_in_markdown(values | {"execution": values["execution"] | {"confinement": others}})

    assert markdown.count("no network") == markdown.count("The snapshot is unchanged") == 1
    assert "- Checked, too: /opt/b: proven\n" in markdown


async def test_agents_that_say_very_much_are_cut_in_the_report_and_fail_no_run(story: Story, workspace: Path) -> None:
    """Found by the benchmark of the relay: a hundred agents of 40 KB each ended in a run without a report."""
    names = [f"s{number}" for number in range(40)]
    await story.begin(flow_of(*(fold(name, "{{ 'word→ ' * 20000 }}") for name in names)), workspace)
    for name in names:
        await story.fold(name)
    markdown, values = await story.report()

    assert [text["step"] for text in values["texts"]] == names
    assert all("of this result are left out" in text["text"] for text in values["texts"])
    assert markdown.count("word→ ") > 40 * 1000


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        (["high", "high", "low"], "2 high, 1 low"),
        (
            ["high", "high", "medium", "high outside", "low missing"],
            "2 high, 1 medium in the change; 1 outside; 1 whose quote was not found",
        ),
        (["high missing", "low missing", "low bare"], "2 whose quotes were not found; 1 without evidence"),
        (["low outside", "high outside"], "none in the change; 2 outside"),
        (
            ["medium", "critical refuted", "low refuted outside", "info missing refuted"],
            "1 medium; 2 refuted; 1 whose quote was not found",
        ),
    ],
)
def test_the_verdict_counts_by_severity_only_what_stands_in_the_change(findings: list[str], told: str) -> None:
    """Found by a newcomer: invented findings and those outside the change were counted as if they were real."""
    listed = [
        {
            "severity": words.split()[0],
            "status": "missing" if "missing" in words or "bare" in words else "verified",
            "evidence": [] if "bare" in words else [{}],
            "outside_scope": "outside" in words,
            "verdict": "refuted" if "refuted" in words else "",
        }
        for words in findings
    ]

    assert "; ".join(weighed(listed)) == told


async def test_a_small_report_of_what_tools_judged_tells_in_few_words_how_it_ran(story: Story, workspace: Path) -> None:
    """Keeps F6: the JSON has every attempt with its checks."""
    coverage = {"tool": "ruff 0.17.6", "judged": {"Python": 1}}
    await story.begin(flow_of(agent("ruff")), workspace)
    await story.agent("ruff", result={"findings": [], "coverage": coverage})
    markdown, values = await story.report()
    how = markdown.partition("\n## What was not checked\n")[2]

    assert "## What was judged\n\n| files | number | judged by |\n|---|---:|---|\n| Python | 1 | ruff |\n" in markdown
    assert "each confined by bubblewrap 0.11.0; the snapshot was the same before and after" in how
    assert "## What ran" not in how
    assert values["execution"]["confinement"][0]["policy_digest"] not in how
