"""What a report makes of its agents' answers: prose, findings in it, places that it names. Keeps F6 and F12."""

import json
from pathlib import Path

import pytest

from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.work import Checked
from tests.conductor.evaluation.golden_reports import same_as_golden
from tests.conductor.evaluation.story import Story, agent, claim, flow_of, fold

pytestmark = pytest.mark.processes


async def test_what_the_last_steps_said_is_the_answer(story: Story, workspace: Path) -> None:
    """Keeps F6."""
    flow = flow_of(
        agent("a"), fold("answer", "# Big\n\nIt is {{ steps.a.text }}.\n\n```\n<b>\n", "a"), agent("b", label="Aside")
    )
    await story.begin(flow, workspace)
    await story.agent("a", says="fine <b>now</b> [x](http://example.org)")
    await story.fold("answer")
    await story.agent("b", says="By the way.")
    markdown, _ = await story.report()

    same_as_golden("answer.md", markdown, workspace)


async def test_findings_in_an_answer_are_checked_as_those_of_a_result(story: Story, workspace: Path) -> None:
    """Keeps F12: an agent whose dialect has no result ends its answer in JSON."""
    await story.begin(flow_of(agent("a", contracts=["output"])), workspace)
    found = json.dumps({"findings": [claim("In prose")]}, indent=1)
    answer = await story.agent("a", says=f"I looked.\n\n```json\n{found}\n```\nThat is all.")
    _, values = await story.report()

    assert isinstance(answer, Checked)
    assert (answer.counts.verified, answer.counts.unread) == (1, 0)
    assert [(one["title"], one["status"]) for one in values["findings"]] == [("In prose", "verified")]


async def test_an_answer_that_should_hold_findings_and_holds_none_that_can_be_read_is_never_no_findings(
    story: Story, workspace: Path
) -> None:
    """Keeps F12."""
    await story.begin(flow_of(agent("a", contracts=["output"]), agent("b", contracts=["output"])), workspace)
    unread = await story.agent("a", says="All is well.")
    await story.agent("b", says='{"findings": []}')
    markdown, values = await story.report()

    assert isinstance(unread, Checked)
    assert unread.counts == FindingCounts(unread=1)
    assert values["verdict"] == "The findings of a cannot be read: see what was not checked."
    assert "- **a**: its answer should end in findings, and none can be read in it: it holds no JSON" in markdown
    assert "> All is well." in markdown
    assert "No findings" not in markdown


async def test_places_that_an_answer_names_are_looked_up(story: Story, workspace: Path) -> None:
    """Keeps A11 and F4: prose is a good answer, and what it names is checked by code."""
    name = next(path.name for path in sorted(workspace.iterdir()) if path.is_file())
    await story.begin(flow_of(agent("a")), workspace)
    await story.agent("a", says=f"It stands in {name}:1, and not in none.py:3-5.")
    markdown, values = await story.report()

    assert [(one["path"], one["exists"]) for one in values["texts"][0]["places"]] == [(name, True), ("none.py", False)]
    assert values["verdict"] == (
        "An answer in prose, without findings. The answer names 2 places; 1 of them does not exist."
    )
    assert f"- ✓ `{name}:1`" in markdown
    assert "- ✗ `none.py:3-5`: there is no file none.py" in markdown


async def test_findings_of_a_step_that_asks_for_evidence_alone_are_read_or_told_as_not_read(
    story: Story, workspace: Path
) -> None:
    """Keeps F12: without the contract `output` prose is a good answer, and findings in it are findings all the same."""
    steps = [agent(name, contracts=["evidence"]) for name in ("found", "broken", "prose", "none")]
    await story.begin(flow_of(*steps), workspace)
    found = await story.agent("found", says="I looked.\n" + json.dumps({"findings": [claim("In prose")]}))
    broken = await story.agent("broken", says='{"findings": [{"severity": "high", "title": ')
    prose = await story.agent("prose", says='It writes {"findings": []} where it finds nothing.')
    none = await story.agent("none", says="All is well, a.py:1.")
    markdown, values = await story.report()

    counts = [answer.counts for answer in (found, broken, prose, none) if isinstance(answer, Checked)]
    assert counts == [FindingCounts(verified=1), FindingCounts(unread=1), FindingCounts(), FindingCounts()]
    assert [(one["title"], one["status"]) for one in values["findings"]] == [("In prose", "verified")]
    assert "The findings of broken cannot be read" in values["verdict"]
    assert "- **broken**: its answer holds findings that cannot be read: it holds no JSON" in markdown
    assert "No findings" not in markdown
    assert "> All is well, a.py:1." in markdown
