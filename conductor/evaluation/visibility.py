"""Finds what a step sees of a run: results, items and rounds; and whose findings count. It is pure.

A step sees what it needs, directly or through others. A step inside another one also sees what that one sees. So a result is the
same whenever it is asked for.
"""

from collections.abc import Collection, Iterable, Iterator

from conductor.core.folded.run import Run, list_counted_steps
from conductor.core.folded.step import Step
from conductor.core.model.states import StepState


def visible_steps(run: Run, step: str) -> tuple[str, ...]:
    """Returns the ids of the steps that a step sees, in the order in which they came into the run."""
    seen: set[str] = set()
    for name in (step, *_outer(run, step)):
        waiting = list(run.steps[name].plan.needs)
        while waiting:
            need = waiting.pop()
            if need not in seen:
                seen.add(need)
                waiting.extend(run.steps[need].plan.needs)
    return tuple(name for name in run.steps if name in seen) if len(seen) > 1 else tuple(seen)


def parts_of(run: Run, step: str) -> tuple[Step, ...]:
    """Returns the steps that a step is, one inside the other, from the outermost child to the step itself."""
    inside = [run.steps[name] for name in (step, *_outer(run, step)) if run.steps[name].plan.parent]
    return tuple(reversed(inside))


def list_items(run: Run, step: str) -> list[list[Step]]:
    """Returns the children of a step, item by item or round by round."""
    items: list[list[Step]] = [[] for _ in range(run.steps[step].items.begun)]
    for name in run.children.get(step, ()):
        items[run.steps[name].plan.index].append(run.steps[name])
    return items


def short_name(step: str) -> str:
    """Returns the name by which others see a step: the last part of its id."""
    return step.rpartition(".")[2]


def _outer(run: Run, step: str) -> Iterator[str]:
    while parent := run.steps[step].plan.parent:
        yield parent
        step = parent


def list_finders(run: Run, names: Iterable[str]) -> list[str]:
    """Returns those of these steps that succeeded with findings."""
    steps = [run.steps[name] for name in names]
    return [step.plan.id for step in steps if step.state is StepState.SUCCEEDED and step.findings]


def list_counted(run: Run, names: Collection[str]) -> tuple[str, ...]:
    """Returns those of these steps whose findings count."""
    return list_counted_steps([run.steps[name].plan for name in names], list_finders(run, names))
