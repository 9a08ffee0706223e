"""The steps whose findings count, as a table."""

import pytest

from conductor.core.folded.run import list_counted_steps
from conductor.core.model.plan import AgentPlan, FoldPlan, StepPlan

STEPS = (
    StepPlan("a", AgentPlan(("survey",))),
    StepPlan("b", AgentPlan(("survey",))),
    StepPlan("reader", AgentPlan(("survey",)), needs=("a",)),
    StepPlan("merge", FoldPlan(), needs=("a", "b")),
    StepPlan("rank", FoldPlan(), needs=("merge", "reader")),
)


@pytest.mark.parametrize(
    ("finders", "counted"),
    [
        ((), ()),
        (("b", "a"), ("a", "b")),
        (("a", "b", "merge"), ("merge",)),
        (("a", "b", "reader"), ("a", "b", "reader")),
        (("a", "b", "reader", "merge"), ("reader", "merge")),
        (("a", "b", "reader", "merge", "rank"), ("rank",)),
        (("a", "rank"), ("a", "rank")),
    ],
)
def test_findings_count_until_a_fold_merged_them(finders: tuple[str, ...], counted: tuple[str, ...]) -> None:
    assert list_counted_steps(STEPS, finders) == counted
