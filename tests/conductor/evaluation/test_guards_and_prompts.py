"""Guards and prompts, evaluated over a real store and real snapshots. Keeps A6 A9 A10."""

from pathlib import Path

import pytest

from conductor.core.model.work import (
    GuardDecided,
    WorkFailed,
    WorkKind,
)
from tests.conductor.evaluation.story import RUN, Story, agent, flow_of

pytestmark = pytest.mark.processes


async def test_guards_at_launch_and_when_ready_record_their_reason(story: Story, workspace: Path) -> None:
    """Keeps A6."""
    flow = flow_of(
        agent("large", exclude_when='band != "large"'),
        agent("first"),
        agent("second", needs=("first",), skip_when="steps.first.findings.size() == 0"),
        agent("third", needs=("first",), skip_when='steps.first.text.contains("nothing")'),
    )
    await story.begin(flow, workspace)
    plan = (await story.store.events(RUN))[0].event.plan  # type: ignore[union-attr]
    await story.agent("first", says="found", result={"findings": []})

    assert {step.id: step.excluded_because for step in plan.steps if step.excluded_because} == {
        "large": 'exclude_when is true: band != "large"'
    }
    assert await story.guard("second") == GuardDecided(
        skip=True, reason="skip_when is true: steps.first.findings.size() == 0"
    )
    assert await story.guard("third") == GuardDecided(skip=False)


async def test_a_guard_that_cannot_be_decided_fails_its_step(story: Story, workspace: Path) -> None:
    flow = flow_of(agent("first"), agent("second", needs=("first",), skip_when="steps.first.output.x > 1"))
    await story.begin(flow, workspace)
    await story.agent("first", says="x")
    answer = await story.guard("second")

    assert isinstance(answer, WorkFailed)
    assert answer.failure.reason == "GUARD_FAILED"
    assert "step second" in answer.failure.message


async def test_a_run_keeps_the_persona_and_contracts_that_it_started_with(
    story: Story, workspace: Path, tmp_path: Path
) -> None:
    """Keeps A8 A9."""
    project = tmp_path / "project"
    personas = project / ".conductor" / "personas"
    personas.mkdir(parents=True)
    (personas / "mine.md").write_text("---\nname: mine\n---\nI am the first.\n")
    flow = flow_of(agent("a", "Look.", persona="mine", contracts=["evidence"]))
    await story.begin(flow, workspace, project=project)
    (personas / "mine.md").write_text("I am the second.")
    digest = await story.prompt("a")

    prompt = story.blobs[digest].decode()
    assert prompt.startswith("I am the first.\n\nLook.\n\n# Evidence\n")
    assert prompt.count("# Evidence") == 1


async def test_a_prompt_is_the_same_however_often_it_is_asked_for(story: Story, workspace: Path) -> None:
    """Keeps F1."""
    await story.begin(flow_of(agent("a", "{{ inputs }} {{ band }}")), workspace, question="why?")
    answers = {await story.ask(WorkKind.PROMPT, "a") for _ in range(3)}

    assert len(answers) == 1


async def test_a_long_answer_of_an_earlier_step_is_cut_and_the_prompt_says_so(story: Story, workspace: Path) -> None:
    """Keeps F2."""
    await story.begin(flow_of(agent("a"), agent("b", "{{ steps.a.text }}", needs=("a",))), workspace)
    await story.agent("a", says="é" * 1_000_000)
    prompt = story.blobs[await story.prompt("b")].decode()

    assert len(prompt) < 20_200
    assert "[Cut here: 1960000 of 2000000 bytes of this result are left out.]" in prompt


async def test_a_prompt_that_cannot_be_built_fails_its_step_with_reason_and_line(story: Story, workspace: Path) -> None:
    """Keeps F1."""
    await story.begin(flow_of(agent("a", "fine\n{{ inputs.missing }}")), workspace)
    answer = await story.ask(WorkKind.PROMPT, "a")

    assert isinstance(answer, WorkFailed)
    assert answer.failure.reason == "PROMPT_BUILD_FAILED"
    assert "line 2" in answer.failure.message
