"""What a retry keeps of an ended run, and how it enters the new run. Keeps B9."""

from dataclasses import replace

import pytest

from conductor.core.decide.questions import list_pending
from conductor.core.decide.reuse import Again, choose_kept
from conductor.core.model.commands import StartExecution
from conductor.core.model.events.event_parts import FindingCounts, KeptResult
from conductor.core.model.events.run_events import FindingChecked, StepReused
from conductor.core.model.inputs import RequestRun, WorkFinished
from conductor.core.model.plan import OnFailure, StepPlan
from conductor.core.model.states import GateDecision, RunState, StepState
from conductor.core.model.work import WorkKind, WorkResult
from conductor.store.kept_results import describe
from tests.conductor.core.bench import ANSWERS, CONTINUE, OTHER, RUN, Bench, asks, each, folds, plan, rounds

PAIR = (asks("n0", attempts=1), asks("n1", "n0", attempts=1))
THIRD = "01k" + "c" * 23
DIAMOND = (
    asks("a", attempts=1),
    asks("b", attempts=1, on_failure=CONTINUE),
    asks("c", "a", attempts=1),
    asks("d", "b", "c", attempts=1),
    asks("e", "a", attempts=1),
)


def lived(*steps: StepPlan, failing: str = "") -> Bench:
    """A run that has ended: every step succeeds as soon as it may, but those of `failing`, which fail."""
    bench = Bench()
    bench.host(features=frozenset({"path_ids"}))
    bench.launch(*steps)
    live(bench, RUN, failing)
    return bench


def live(bench: Bench, run: str, failing: str = "") -> None:
    for _ in range(99):
        if bench.runs[run].is_settled:
            return
        for work in list_pending(bench.runs[run]):
            bench.take(WorkFinished(WorkResult(work, ANSWERS[work.kind])))
        for name in list(bench.runs[run].steps):
            if bench.step(name, run).live_attempt is not None:
                ends = ("failed", "SHIM_LOST") if name in failing.split() else ("succeeded", "")
                bench.finish(name, *ends, run=run)
    raise AssertionError(f"it never ends: {bench.states(run)}")


def retry(bench: Bench, again: Again, named: str = "", source: str = RUN, run: str = OTHER) -> None:
    """Asks for the retry of a run, as the API does."""
    chosen = choose_kept(bench.runs[source], again, named)
    results = (replace(describe(source, step), findings=step.findings) for step in chosen.steps)
    asked = plan(*bench.runs[source].plan.steps, run=run)
    bench.take(RequestRun(asked, (), "", "digest", 3, kept=(*results, *chosen.waiting)))


def began(bench: Bench, run: str = OTHER) -> list[str]:
    """Names the steps of a run whose agents were started."""
    return sorted(
        command.start.execution.split("-")[1]
        for command in bench.commands
        if isinstance(command, StartExecution) and command.start.execution.startswith(run)
    )


@pytest.mark.parametrize(
    ("failing", "again", "named", "expected"),
    [
        ("c", Again.FAILED, "", "c d"),
        ("b", Again.FAILED, "", "b d"),  # it was allowed to fail, and what depends on it saw that it did
        ("b", Again.STEP, "e", "e"),  # the run went on without b, and so does the retry
        ("c", Again.STEP, "e", "c d e"),  # without c the run cannot succeed
        ("", Again.STEP, "a", "a c d e"),
        ("", Again.ALL, "", "a b c d e"),
        ("d", Again.FAILED, "", "d"),
    ],
)
def test_only_what_was_asked_for_and_what_follows_from_it_starts_again(
    failing: str, again: Again, named: str, expected: str
) -> None:
    bench = lived(*DIAMOND, failing=failing)

    retry(bench, again, named)
    live(bench, OTHER)

    assert began(bench) == expected.split()
    assert bench.runs[OTHER].state is RunState.SUCCEEDED


def test_a_failure_that_a_person_let_pass_is_kept_as_one_that_the_run_goes_on_with() -> None:
    """Keeps B9 and H3: no person is asked again."""
    bench = Bench()
    bench.host()
    bench.launch(asks("a", attempts=1, on_failure=OnFailure.GATE), asks("b", "a", attempts=1))
    bench.queue("a")
    bench.finish("a", "failed", "AGENT_EXIT_NONZERO")
    bench.decide("a", GateDecision.APPROVE)
    live(bench, RUN)

    retry(bench, Again.STEP, "b")
    live(bench, OTHER)

    assert (began(bench), bench.states(OTHER)) == (["b"], {"a": "failed", "b": "succeeded"})
    assert bench.runs[OTHER].state is bench.runs[RUN].state


def test_a_kept_step_never_begins_also_after_a_restart_and_its_findings_are_told_again() -> None:
    bench = lived(*DIAMOND, failing="c")
    counts = FindingCounts(verified=1, moved=1)
    source = bench.runs[RUN]
    kept = KeptResult("a", RUN, source.steps["a"].state, findings="found", counts=counts, text="text", began=True)

    bench.take(RequestRun(plan(*DIAMOND, run=OTHER), (), "", "digest", 3, kept=(kept,)))
    bench.crash()
    bench.host()
    live(bench, OTHER)

    events = [event for run, event in bench.events if run == OTHER]
    assert events[1:4] == [
        FindingChecked("a", "found", 0),
        FindingChecked("a", "found", 1),
        StepReused("a", StepState.SUCCEEDED, "found", counts),
    ]
    step = bench.step("a", OTHER)
    assert (step.text, step.findings, step.counts, step.attempts, step.reused) == ("text", "found", counts, (), kept)
    assert began(bench) == ["b", "c", "d", "e"]


def test_a_run_of_which_everything_is_kept_goes_on_with_its_report() -> None:
    bench = Bench()
    bench.launch(folds("a"))
    bench.answer(WorkKind.FOLD, "a")
    bench.answer(WorkKind.REPORT)

    retry(bench, Again.FAILED)
    assert bench.asked(WorkKind.REPORT) == [""]
    bench.answer(WorkKind.REPORT, run=OTHER)

    assert bench.runs[OTHER].state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("failing", "again", "named", "expected"),
    [
        ("all.1.n0", Again.FAILED, "", "after all.1.n0 all.1.n1"),
        ("all.1.n1", Again.FAILED, "", "after all.1.n1"),
        ("first", Again.FAILED, "", "after all.0.n0 all.0.n1 all.1.n0 all.1.n1 first"),
        ("", Again.STEP, "after", "after"),
        ("", Again.STEP, "all.0.n1", "after all.0.n1"),
        ("", Again.STEP, "all", "after all.0.n0 all.0.n1 all.1.n0 all.1.n1"),
        ("", Again.STEP, "first", "after all.0.n0 all.0.n1 all.1.n0 all.1.n1 first"),
    ],
)
def test_items_that_are_complete_are_kept(failing: str, again: Again, named: str, expected: str) -> None:
    """The step that has the items goes through them again, one at a time, and finds those settled that are kept."""
    bench = lived(
        asks("first", attempts=1),
        each("all", "first", max_parallel=1, inner=PAIR),
        asks("after", "all", attempts=1),
        failing=failing,
    )

    retry(bench, again, named)
    bench.crash()
    bench.host(features=frozenset({"path_ids"}))
    live(bench, OTHER)

    assert began(bench) == expected.split()
    assert bench.runs[OTHER].state is RunState.SUCCEEDED


def test_results_whose_steps_were_not_added_yet_are_kept_for_the_next_retry() -> None:
    bench = Bench()
    bench.host(features=frozenset({"path_ids"}))
    kept = tuple(KeptResult(f"all.1.n{number}", RUN, StepState.SUCCEEDED, item="items") for number in range(2))
    steps = (each("all", max_parallel=1, inner=PAIR),)
    bench.take(RequestRun(plan(*steps), (), "", "digest", 3, kept=kept))
    bench.cancel()
    live(bench, RUN)

    retry(bench, Again.FAILED)
    live(bench, OTHER)

    assert began(bench) == ["all.0.n0", "all.0.n1"]
    assert bench.runs[OTHER].state is RunState.SUCCEEDED


def test_a_result_of_another_item_is_not_taken() -> None:
    bench = Bench()
    bench.host(features=frozenset({"path_ids"}))
    kept = KeptResult("all.0.n0", RUN, StepState.SUCCEEDED, item="another digest")
    bench.take(RequestRun(plan(each("all", inner=PAIR), run=OTHER), (), "", "digest", 3, kept=(kept,)))
    live(bench, OTHER)

    assert began(bench) == ["all.0.n0", "all.0.n1", "all.1.n0", "all.1.n1"]


@pytest.mark.parametrize(
    ("failing", "again", "named", "expected"),
    [
        ("all.1.n0", Again.FAILED, "", "all.1.n0 all.1.n1 all.2.n0 all.2.n1"),
        ("", Again.STEP, "all.0.n1", "all.0.n1 all.1.n0 all.1.n1 all.2.n0 all.2.n1"),
        ("", Again.STEP, "all.2.n0", "all.2.n0 all.2.n1"),
    ],
)
def test_rounds_before_one_that_runs_again_are_kept(failing: str, again: Again, named: str, expected: str) -> None:
    """A round sees the one before: behind one that runs again, all do."""
    bench = lived(rounds("all", most=3, inner=PAIR), failing=failing)

    retry(bench, again, named)
    live(bench, OTHER)

    assert began(bench) == expected.split()
    assert bench.runs[OTHER].state is RunState.SUCCEEDED


def test_a_step_whose_items_were_enough_keeps_those_that_failed_unless_they_are_asked_for() -> None:
    steps = (each("all", inner=PAIR[:1], min_success=1), asks("after", "all"))
    bench = lived(*steps, failing="all.0.n0")

    retry(bench, Again.STEP, "after")
    live(bench, OTHER)
    retry(bench, Again.FAILED, run=THIRD)
    live(bench, THIRD)

    assert (began(bench), began(bench, THIRD)) == (["after"], ["after", "all.0.n0"])
    assert bench.states(OTHER)["all.0.n0"] == "failed"
    assert bench.states(THIRD)["all.0.n0"] == "succeeded"
