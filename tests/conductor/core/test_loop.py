"""Steps that run others round after round: features A5, C8."""

from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.run_events import RoundJudged
from conductor.core.model.states import Failure, RunState
from conductor.core.model.work import RoundDecided, WorkFailed, WorkKind
from tests.conductor.core.bench import Bench, folds, rounds

DONE = RoundDecided(is_done=True)


def launch(**plan: object) -> Bench:
    bench = Bench()
    bench.launch(rounds("again", **plan), folds("after", "again"))  # type: ignore[arg-type]
    return bench


def test_rounds_follow_each_other_until_the_loop_is_done() -> None:
    bench = launch()

    bench.answer(WorkKind.FOLD, "again.0.look")
    assert bench.asked(WorkKind.UNTIL) == ["again"]
    bench.answer(WorkKind.UNTIL, "again")
    assert bench.asked(WorkKind.FOLD) == ["again.1.look"]
    bench.answer(WorkKind.FOLD, "again.1.look")
    bench.answer(WorkKind.UNTIL, "again", DONE)
    assert bench.asked(WorkKind.GATHER) == ["again"]
    bench.answer(WorkKind.GATHER, "again")

    assert bench.asked(WorkKind.FOLD) == ["after"]
    assert [bench.step(f"again.{index}.look").plan.round for index in range(2)] == [1, 2]


def test_the_last_round_ends_a_loop_that_is_never_done() -> None:
    bench = launch(most=2)

    for index in range(2):
        bench.answer(WorkKind.FOLD, f"again.{index}.look")
        bench.answer(WorkKind.UNTIL, "again")
    bench.answer(WorkKind.GATHER, "again")

    assert bench.states()["again"] == "succeeded"
    assert "again.2.look" not in bench.states()


def test_a_failed_round_fails_its_loop_and_names_the_step() -> None:
    bench = launch()
    bench.answer(WorkKind.FOLD, "again.0.look")
    bench.answer(WorkKind.UNTIL, "again")

    bench.answer(WorkKind.FOLD, "again.1.look", WorkFailed(Failure("FOLD_FAILED", "no such name")))
    bench.answer(WorkKind.REPORT)

    failure = bench.run.failure
    assert failure is not None
    assert (bench.run.state, failure.reason, failure.step) == (RunState.FAILED, "ROUND_FAILED", "again")
    assert "Round 2 of step again failed, at step again.1.look: FOLD_FAILED: no such name" in failure.message


def test_a_loop_whose_rounds_have_no_room_fails_before_the_first_begins() -> None:
    bench = Bench(Limits(steps_per_run=4))

    bench.launch(rounds("again", most=3), folds("other"))

    failure = bench.step("again").failure
    assert failure is not None
    assert (failure.reason, "has room for 2 of its 4" in failure.message) == ("TOO_MANY_STEPS", True)
    assert bench.states() == {"again": "failed", "other": "cancelled"}


def test_an_answer_about_an_earlier_round_has_no_effect() -> None:
    bench = launch()
    bench.answer(WorkKind.FOLD, "again.0.look")
    bench.answer(WorkKind.UNTIL, "again")
    judged = [event for _, event in bench.events if isinstance(event, RoundJudged)]

    bench.answer(WorkKind.UNTIL, "again", DONE)

    assert [event for _, event in bench.events if isinstance(event, RoundJudged)] == judged


def test_a_restart_asks_again_about_the_round_that_was_not_judged() -> None:
    """Keeps I3."""
    bench = launch()
    bench.answer(WorkKind.FOLD, "again.0.look")

    asked = bench.crash()

    assert [command.work.round for command in asked if hasattr(command, "work")] == [1]
