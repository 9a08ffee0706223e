"""The evaluator over real workers where limits are met, and where many questions wait. Keeps A4 A10 C2."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conductor.core.model.work import (
    PromptRendered,
    Reported,
    Work,
    WorkFailed,
    WorkKind,
)
from conductor.errors import InvalidRequestError
from conductor.evaluation.workers import limits, pool
from conductor.evaluation.workers.pool import Worker
from conductor.flows.checks.judgement import Library
from conductor.flows.library.bundle import write_bundle
from conductor.flows.library.library import Texts
from tests.conductor.evaluation.story import RUN, Story, agent, flow_of, fold, telling

pytestmark = pytest.mark.processes


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
async def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Story]:
    """A story whose workers are processes with limits; they try often, as other tests may take the processor meanwhile."""
    monkeypatch.setattr(pool, "TRIES", 5)
    async with telling(tmp_path, Worker) as told:
        yield told


@pytest.mark.long
async def test_an_author_s_pattern_that_explodes_is_a_violation_and_the_service_lives(
    limited: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps A10: `pattern` is Python's `re`, and this one takes longer than the universe has."""
    monkeypatch.setattr(limits, "QUICK_SECONDS", 0.5)
    flow = flow_of(agent("a"))
    flow.input_schema.update({"properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}})
    bundle = write_bundle(flow, Texts({}, {}))

    with pytest.raises(InvalidRequestError, match=r"more than 0\.5 s"):
        await limited.evaluator.launch(bundle, {"x": "a" * 60 + "!"})
    assert not (await limited.evaluator.launch(bundle, {"x": "aaa"})).inputs.violations


async def test_flows_are_judged_in_a_worker_with_the_same_verdict(limited: Story) -> None:
    """Keeps A4."""
    text = b"steps:\n  - id: a\n    needs: [b]\n    fold: {template: x}\n"
    judgement = await limited.evaluator.judge_text(text, "x.yaml", Library())
    good = await limited.evaluator.judge_message(flow_of(fold("a", "x")), "flow", Library())

    assert [str(problem) for problem in judgement.problems] == [
        "x.yaml:3: steps[0].needs[0]: there is no step 'b'; there are a"
    ]
    assert good.flow is not None
    assert good.flow.name == "flows/story"


async def test_a_slow_fold_delays_no_prompt(limited: Story, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps C2: the fold would take its whole limit, and the prompts are there long before."""
    monkeypatch.setattr(limits, "SLOW_SECONDS", 0.5)
    await limited.begin(flow_of(fold("slow", ENDLESS), agent("a"), agent("b")), workspace)
    works = [Work(RUN, WorkKind.FOLD, "slow"), Work(RUN, WorkKind.PROMPT, "a"), Work(RUN, WorkKind.PROMPT, "b")]
    for work in works:
        limited.evaluator.ask(work)
    answered = [(await limited.answers.get()).result for _ in works]

    assert {result.work.step for result in answered[:2]} == {"a", "b"}
    assert all(isinstance(result.answer, PromptRendered) for result in answered[:2])
    assert isinstance(answered[2].answer, WorkFailed)
    assert answered[2].answer.failure.reason == "EVALUATION_LIMIT"
    assert "more than 0.5 s" in answered[2].answer.failure.message


async def test_folds_that_hang_delay_no_report(limited: Story, workspace: Path) -> None:
    """Keeps C2: any user's fold may hang, and every user waits for a report."""
    hanging = [fold(f"slow{number}", ENDLESS) for number in range(8)]
    await limited.begin(flow_of(*hanging), workspace)
    for step in hanging:
        limited.evaluator.ask(Work(RUN, WorkKind.FOLD, step.id))

    assert isinstance(await limited.ask(WorkKind.REPORT, ""), Reported)


async def test_a_run_that_hit_a_limit_waits_in_the_slow_lane_and_is_answered_all_the_same(
    limited: Story, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUICK_SECONDS", 0.5)
    await limited.begin(flow_of(agent("bad", ENDLESS), agent("good")), workspace)

    assert isinstance(await limited.ask(WorkKind.PROMPT, "bad"), WorkFailed)
    assert isinstance(await limited.ask(WorkKind.PROMPT, "good"), PromptRendered)
