"""Which findings count, as a table."""

import pytest

from conductor.core.model.findings import list_counted_steps
from conductor.core.model.plan import StepKind, StepPlan

STEPS = (
    StepPlan("a", StepKind.AGENT),
    StepPlan("b", StepKind.AGENT),
    StepPlan("reader", StepKind.AGENT, needs=("a",)),
    StepPlan("merge", StepKind.FOLD, needs=("a", "b")),
    StepPlan("rank", StepKind.FOLD, needs=("merge", "reader")),
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
