"""A step that asks several agents the same: for the core a step with items, one for each agent (see `flows.panels`)."""

from collections.abc import Iterator

from conductor.core.model.plan import ForeachPlan, StepPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.output_rules import has_schema, on_invalid
from conductor.flows.kinds import agent
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.counts import MAX_AGENTS
from conductor.flows.language.problems import Problems
from conductor.flows.panels import inner_step

KIND = "panel"
# The names of an agent and of its place, for the templates of the question.
NAMES = {"item": "any", "index": "int"}


def judge(step: Step, where: str, library: Library, problems: Problems) -> None:
    """Adds the problems of the question, and of the numbers."""
    agent.judge(inner_step(step), where, library, problems)
    panel = step.panel
    if not 0 <= panel.min_agree <= MAX_AGENTS:
        problems.add(f"{where}.min_agree", f"must be 1 to {MAX_AGENTS}, not {panel.min_agree}")
    if panel.HasField("min_success") and not 0 <= panel.min_success <= MAX_AGENTS:
        problems.add(f"{where}.min_success", f"must be 0 to {MAX_AGENTS}, not {panel.min_success}")


def templates(step: Step) -> Iterator[tuple[str, str]]:
    """Yields the templates of the question."""
    yield from agent.templates(inner_step(step))


def expressions(_step: Step) -> Iterator[Expression]:
    """Yields nothing."""
    yield from ()


def plan(step: Step, planning: Planning) -> ForeachPlan:
    """Returns the plan of a step whose items are agents; all are asked at once."""
    inner = inner_step(step)
    asked = StepPlan(
        inner.id,
        agent.plan(inner, planning),
        label=inner.label,
        on_invalid=on_invalid(inner),
        has_schema=has_schema(inner),
    )
    return ForeachPlan(
        steps=(asked,),
        max_parallel=len(step.panel.agents),
        min_success=step.panel.min_success if step.panel.HasField("min_success") else None,
        agents=tuple(step.panel.agents),
        shown_as=KIND,
    )
