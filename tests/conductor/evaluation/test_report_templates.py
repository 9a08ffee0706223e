"""Templates of a flow's own, and reports that would be too large. Keeps F6."""

import json
from pathlib import Path

import pytest

from conductor.core.model.work import WorkFailed, WorkKind
from conductor.evaluation.reports.report import MAX_REPORT_BYTES
from tests.conductor.evaluation.story import Story, agent, claim, flow_of

pytestmark = pytest.mark.processes


async def test_a_flow_may_bring_its_own_template(story: Story, workspace: Path) -> None:
    """Keeps F6."""
    template = "{{ report.verdict }} {{ steps.risks.state }} {{ band }} {{ report.findings[0].title | cell }}"
    await story.begin(flow_of(agent("risks"), report_template=template), workspace)
    await story.agent("risks", result={"findings": [claim("*x*")]})
    markdown, _ = await story.report()

    assert markdown == "1 finding (1 medium). Quotes checked; conclusions are yours. succeeded small \\*x\\*\n"


async def test_a_template_that_does_not_fit_is_a_failure_with_its_line(story: Story, workspace: Path) -> None:
    await story.begin(flow_of(agent("risks"), report_template="x\n{{ report.nothing.at_all }}"), workspace)
    await story.agent("risks", says="x")
    answer = await story.ask(WorkKind.REPORT)

    assert isinstance(answer, WorkFailed)
    assert answer.failure.reason == "REPORT_FAILED"
    assert "line 2" in answer.failure.message


async def test_a_report_that_would_be_too_large_is_shortened_and_says_so(story: Story, workspace: Path) -> None:
    """Keeps F6: the most severe stay."""
    steps = [f"s{number}" for number in range(5)]
    await story.begin(flow_of(*(agent(name) for name in steps)), workspace)
    for name in steps:
        many = [
            {**claim(f"{name} {number}"), "claim": "word→ " * 650, "severity": "high" if number < 10 else "low"}
            for number in range(100)
        ]
        await story.agent(name, result={"findings": many})
    markdown, values = await story.report()

    assert len(markdown.encode()) + len(json.dumps(values, ensure_ascii=False).encode()) > MAX_REPORT_BYTES * 0.5
    assert len(markdown.encode()) + len(json.dumps(values, ensure_ascii=False).encode()) < MAX_REPORT_BYTES * 1.1
    shown = values["findings"]
    assert [one["severity"] for one in shown[:30]] == ["high"] * 30
    assert 50 < len(shown) < 500
    left = f"{500 - len(shown)} of its 500 findings, the least severe, are left out: ListFindings returns all of them."
    assert left in values["verdict"]
    assert left in markdown
    assert sum(values["severities"].values()) == len(shown)


async def test_a_template_that_is_too_large_by_itself_is_a_failure(story: Story, workspace: Path) -> None:
    await story.begin(
        flow_of(agent("risks"), report_template="{% for n in range(4000) %}{{ 'x' * 1000 }}{% endfor %}"), workspace
    )
    await story.agent("risks", says="x")
    answer = await story.ask(WorkKind.REPORT)

    assert isinstance(answer, WorkFailed)
    assert "even when it is shortened; the limit is" in answer.failure.message
