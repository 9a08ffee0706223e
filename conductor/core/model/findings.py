"""Which findings of a run count. The store's list and the report follow this one rule.

A step's findings count until a fold that needs the step directly succeeds with findings of its own: those are the merged
ones, and counting both would tell everything twice. An agent that only reads another step's findings merges nothing, so
both count. A fold that renders text without findings takes nothing away.
"""

from collections.abc import Collection, Sequence

from conductor.core.model.plan import StepPlan


def list_counted_steps(steps: Sequence[StepPlan], finders: Collection[str]) -> tuple[str, ...]:
    """Returns the steps whose findings count, in the plan's order; `finders` succeeded with findings (an empty list is some)."""
    merged = {need for step in steps if step.work.merges_findings and step.id in finders for need in step.needs}
    return tuple(step.id for step in steps if step.id in finders and step.id not in merged)
