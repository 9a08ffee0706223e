"""A step sees what it needs, and what the step around it sees; nothing else. Keeps A5."""

from conductor.core.model.step_path import PATH_IDS
from conductor.core.model.work import ItemsFound, WorkKind
from conductor.evaluation.visibility import list_items, parts_of, short_name, visible_steps
from tests.conductor.core.bench import Bench, each, folds


def test_a_step_of_an_item_sees_its_own_needs_and_those_of_the_step_around_it() -> None:
    bench = Bench()
    bench.host(features=frozenset({PATH_IDS}))
    inner = (folds("look"), folds("told", "look"))
    bench.launch(folds("base"), folds("first", "base"), folds("other"), each("all", "first", inner=inner))
    for name in ("base", "first"):
        bench.answer(WorkKind.FOLD, name)
    bench.answer(WorkKind.ITEMS, "all", ItemsFound("items", 2))
    run = bench.run

    assert visible_steps(run, "all") == ("base", "first")
    assert visible_steps(run, "all.1.look") == ("base", "first")
    assert visible_steps(run, "all.1.told") == ("base", "first", "all.1.look")
    assert [part.plan.id for part in parts_of(run, "all.1.told")] == ["all.1.told"]
    assert [[short_name(step.plan.id) for step in item] for item in list_items(run, "all")] == [["look", "told"]] * 2
