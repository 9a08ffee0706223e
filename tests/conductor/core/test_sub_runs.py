"""Runs that are parts of other runs: created once, told to end, and heard of when they have. Keeps B13."""

from dataclasses import replace

import pytest

from conductor.core.decide.questions import list_pending
from conductor.core.decide.recover import restore
from conductor.core.kinds import fold
from conductor.core.model.commands import Record
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.run_events import RunCancelRequested, RunCreated, SubRunEnded, SubRunStarted
from conductor.core.model.inputs import RequestCancel, WorkFinished
from conductor.core.model.plan import ForeachPlan, RunPlan
from conductor.core.model.states import Failure, RunState, StepState
from conductor.core.model.work import SubRunPlanned, Work, WorkFailed, WorkKind, WorkResult
from conductor.core.placing.standing import list_inner_waits, list_parts
from tests.conductor.core.bench import ANSWERS, CONTINUE, OTHER, RUN, Bench, asks, calls, each, folds, gates, part

DEEP = part("deep", folds("inner"))
SUB = DEEP.run


class Driven(Bench):
    """Answers every open question by itself; `plans` holds the sub-runs by the steps that ask for them."""

    def __init__(self, *plans: RunPlan, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.plans = {(one.parent.run, one.parent.step): one for one in plans if one.parent is not None}

    def open_work(self) -> list[Work]:
        return [work for one in self.state.ongoing.values() for work in list_pending(one.run)]

    def go_on(self, *, until: WorkKind | None = None, crash: int | None = None) -> int:
        """Works until nothing is left, or a question of a kind is open; returns the number of decisions."""
        for number in range(200):
            if number == crash:
                self.crash()
            work = next(iter(self.open_work()), None)
            if work is not None and work.kind is until:
                return number
            if self.state.wake_at is not None and self.state.wake_at <= self.now:
                self.take()
            elif work is not None:
                answer = ANSWERS.get(work.kind) or SubRunPlanned(self.plans[work.run, work.step])
                self.take(WorkFinished(WorkResult(work, answer)))
            else:
                return number
        raise AssertionError("it never ends")

    def created(self) -> list[str]:
        return [event.plan.run for _, event in self.events if isinstance(event, RunCreated)]


def test_a_sub_run_is_created_in_the_decision_that_says_so() -> None:
    bench = Driven(DEEP)
    bench.launch(calls("deep"))
    bench.go_on(until=WorkKind.CALL)
    decision = bench.answer(WorkKind.CALL, "deep", SubRunPlanned(DEEP))

    stored = [(one.run, type(one.event).__name__) for one in decision.to_store if isinstance(one, Record)]
    assert (RUN, "SubRunStarted") in stored
    assert (SUB, "RunCreated") in stored
    assert bench.step("deep").state is StepState.RUNNING
    assert bench.asked(WorkKind.FOLD) == ["inner"]


def test_its_findings_and_its_report_are_those_of_the_step() -> None:
    bench = Driven(DEEP)
    bench.launch(calls("deep"), folds("after", "deep"))
    bench.go_on()

    assert (bench.run.state, bench.runs[SUB].state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert (bench.step("deep").text, bench.step("deep").findings) == ("collected", "found")


@pytest.mark.parametrize("crash", range(12))
def test_a_crash_between_any_two_decisions_changes_nothing(crash: int) -> None:
    """Keeps I1: nothing is lost, and nothing happens twice."""
    below = part("low", folds("end"), of=SUB)
    bench = Driven(replace(DEEP, steps=(folds("inner"), calls("low", "inner"))), below)
    bench.launch(calls("deep"), folds("after", "deep"))
    bench.go_on(crash=crash)

    assert bench.created() == [RUN, SUB, below.run]
    assert {run.state for run in bench.runs.values()} == {RunState.SUCCEEDED}
    assert sum(isinstance(event, SubRunEnded) for _, event in bench.events) == 2
    assert bench.runs[SUB].steps["low"].sub_run is not None
    assert bench.step("deep").sub_run is not None
    assert bench.step("deep").sub_run.steps == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("crash", [None, 0, 1, 2, 3])
def test_the_end_of_a_run_is_told_to_its_sub_runs_also_after_a_crash(crash: int | None) -> None:
    below = part("low", asks("end", agents=("none",)), of=SUB)
    bench = Driven(replace(DEEP, steps=(calls("low"),)), below)
    bench.host()
    bench.launch(calls("deep"), folds("after", "deep"))
    bench.go_on()
    assert bench.runs[below.run].steps["end"].state is StepState.QUEUED
    bench.cancel()
    bench.go_on(crash=crash)

    assert [run.state for run in bench.runs.values()] == [RunState.CANCELLED] * 3
    asked = [run for run, event in bench.events if isinstance(event, RunCancelRequested)]
    assert sorted(asked) == sorted([RUN, SUB, below.run])
    assert bench.states() == {"deep": "cancelled", "after": "cancelled"}


def test_a_run_ends_after_its_sub_runs() -> None:
    """The failure of another step stops the sub-run, whose agent takes its time."""
    bench = Driven(replace(DEEP, steps=(asks("slow"),)))
    bench.host()
    bench.launch(calls("deep"), folds("bad"))
    bench.go_on(until=WorkKind.FOLD)
    bench.answer(WorkKind.CALL, "deep", SubRunPlanned(bench.plans[RUN, "deep"]))
    bench.queue("slow", run=SUB)
    bench.answer(WorkKind.FOLD, "bad", WorkFailed(Failure("FOLD_FAILED", "no")))
    bench.go_on()
    assert bench.states() == {"deep": "running", "bad": "failed"}
    assert bench.runs[SUB].state is RunState.CANCELLING
    bench.finish("slow", "cancelled", "CANCELLED", run=SUB)
    bench.go_on()

    assert (bench.states()["deep"], bench.run.state) == ("cancelled", RunState.FAILED)
    assert bench.run.failure is not None
    assert bench.run.failure.reason == "FOLD_FAILED"


@pytest.mark.parametrize("may_fail", [False, True])
def test_its_failure_is_that_of_the_step(*, may_fail: bool) -> None:
    bench = Driven(DEEP)
    bench.launch(calls("deep", **({"on_failure": CONTINUE} if may_fail else {})), folds("other"))
    bench.go_on(until=WorkKind.CALL)
    bench.answer(WorkKind.CALL, "deep", SubRunPlanned(DEEP))
    bench.answer(WorkKind.FOLD, "inner", WorkFailed(Failure("FOLD_FAILED", "no such name")), run=SUB)
    bench.go_on()

    failure = bench.step("deep").failure
    assert failure is not None
    assert (failure.reason, failure.message) == ("FOLD_FAILED", f"Its sub-run {SUB} failed, step inner: no such name")
    assert bench.run.state is RunState.FAILED  # also where it may fail: nothing that asks gave an answer


def test_a_sub_run_that_a_caller_cancels_fails_its_step() -> None:
    bench = Driven(replace(DEEP, steps=(asks("waits", agents=("none",)),)))
    bench.host()
    bench.launch(calls("deep"))
    bench.go_on()
    bench.take(RequestCancel(SUB, "not this one", reply=9))
    bench.go_on()

    failure = bench.step("deep").failure
    assert failure is not None
    assert (failure.reason, failure.message) == ("SUB_RUN_CANCELLED", f"Its sub-run {SUB} was cancelled: not this one")


def test_sub_runs_count_to_the_steps_of_their_run_and_not_to_the_unfinished_runs() -> None:
    bench = Driven(DEEP, part("more", folds("a"), folds("b")), limits=Limits(unfinished_runs=1, steps_per_run=4))
    bench.launch(calls("deep"), calls("more", "deep", on_failure=CONTINUE))
    bench.go_on()

    assert bench.run.state is RunState.SUCCEEDED
    failure = bench.step("more").failure
    assert failure is not None
    assert failure.reason == "TOO_MANY_STEPS"


def test_items_of_a_sub_run_count_to_the_steps_of_its_run() -> None:
    bench = Driven(replace(DEEP, steps=(each("all"),)), limits=Limits(steps_per_run=3))
    bench.launch(calls("deep"), folds("other"))
    bench.go_on()

    assert bench.runs[SUB].failure is not None
    assert bench.runs[SUB].failure.reason == "TOO_MANY_STEPS"  # type: ignore[union-attr]


def test_a_sub_run_leaves_the_room_that_is_kept_for_items() -> None:
    bench = Driven(part("deep", folds("a"), folds("b")), limits=Limits(steps_per_run=5))
    bench.launch(each("all", max_parallel=1), calls("deep", on_failure=CONTINUE))

    bench.answer(WorkKind.ITEMS, "all")
    bench.answer(WorkKind.CALL, "deep", SubRunPlanned(bench.plans[RUN, "deep"]))
    bench.go_on()

    failure = bench.step("deep").failure
    assert failure is not None
    assert failure.reason == "TOO_MANY_STEPS"
    assert bench.states()["all"] == "succeeded"


def test_items_run_flows_side_by_side() -> None:
    plans = (part("all.0.deep", folds("inner")), part("all.1.deep", folds("inner")))
    bench = Driven(*plans)
    bench.launch(each("all", inner=(calls("deep"),)))
    bench.go_on()

    assert bench.created() == [RUN, *(one.run for one in plans)]
    assert bench.run.state is RunState.SUCCEEDED


def test_sub_runs_take_turns_with_their_run_and_it_tells_how_far_they_are() -> None:
    """Keeps C7: a run with three sub-runs gets no more slots than a run of its own."""
    plans = [part(f"c{number}", asks("look"), asks("more", "look")) for number in range(3)]
    bench = Driven(*plans)
    bench.launch(*(calls(f"c{number}") for number in range(3)))
    bench.go_on()
    bench.launch(asks("a"), asks("b"), asks("c"), run=OTHER)
    bench.go_on()
    bench.host(slots=4)
    held = [attempt for one in bench.state.ongoing.values() for attempt in one.tracks]

    assert sorted(attempt.partition("-")[0] == OTHER for attempt in held) == [False, False, True, True]
    parts = list_parts(bench.state, RUN)
    assert [(one.step, one.settled, one.total) for one in parts] == [("c0", 0, 2), ("c1", 0, 2), ("c2", 0, 2)]
    assert sum(one.running for one in parts) == 2


def test_what_holds_up_a_sub_run_is_told_by_the_steps_above_it() -> None:
    """Keeps B13: a step that no host can take is told where a person looks first."""
    middle = part("deep", calls("inner"), asks("other", agents=("nobody",)))
    inner = part("inner", asks("waits", agents=("none",)), of=SUB)
    bench = Driven(middle, inner)
    bench.host()
    bench.launch(calls("deep"), asks("own", agents=("none",)))
    bench.go_on()
    queued = bench.runs[SUB].steps["other"].wait

    assert queued is not None
    assert {name: wait.text for name, wait in list_inner_waits(bench.state, RUN).items()} == {
        "deep": f"other: {queued.text}"
    }
    assert list_inner_waits(bench.state, SUB)["inner"].text.startswith("waits: ")


def test_a_gate_in_a_sub_run_is_told_by_the_step_above_it_with_its_command() -> None:
    """Keeps B13, H2."""
    bench = Driven(part("deep", gates("ok")))
    bench.launch(calls("deep"))
    bench.go_on()
    wait = list_inner_waits(bench.state, RUN)["deep"]
    gate = bench.runs[SUB].steps["ok"].gate

    assert gate is not None
    assert wait.text == f"ok: needs a decision: {gate.title}; let it go on: conductor approve {SUB}/ok-1"


def test_a_sub_run_that_is_not_there_fails_its_step_and_one_without_a_parent_is_cancelled() -> None:
    bench = Driven(replace(DEEP, steps=(asks("waits", agents=("none",)),)))
    bench.host()
    bench.launch(calls("deep"))
    bench.go_on()
    above, below = bench.run, bench.runs[SUB]
    lost = Driven()
    lost.runs, lost.state = {RUN: above}, restore({RUN: above}, {}, bench.now)
    lost.now = bench.now
    lost.go_on()
    orphan = Driven()
    orphan.runs, orphan.state = {SUB: below}, restore({SUB: below}, {}, bench.now)
    orphan.runs[RUN], orphan.now = above, bench.now
    orphan.go_on()

    assert lost.run.failure is not None
    assert lost.run.failure.reason == "SUB_RUN_LOST"
    assert orphan.runs[SUB].state is RunState.CANCELLED


def test_a_sub_run_that_cannot_be_decided_fails_its_step_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    bench = Driven(DEEP)
    bench.launch(calls("deep", on_failure=CONTINUE), folds("other"))
    bench.go_on(until=WorkKind.CALL)
    with monkeypatch.context() as patched:
        patched.setattr(fold, "begin", fail)  # at its first step, in the decision that creates it
        bench.answer(WorkKind.CALL, "deep", SubRunPlanned(DEEP))
        bench.take()
    bench.go_on()

    assert [event.run for _, event in bench.events if isinstance(event, SubRunStarted)] == [SUB]
    assert bench.states()["deep"] == "failed"
    assert bench.step("deep").failure.reason == "INTERNAL"  # type: ignore[union-attr]


def test_a_run_that_cannot_be_decided_leaves_no_sub_run_of_that_decision() -> None:
    bench = Driven(DEEP)
    bench.launch(calls("deep"), folds("other"))

    wrong = WorkResult(Work(RUN, WorkKind.FOLD, "other"), ANSWERS[WorkKind.REPORT])
    planned = WorkResult(Work(RUN, WorkKind.CALL, "deep"), SubRunPlanned(DEEP))
    bench.take(WorkFinished(planned), WorkFinished(wrong))

    assert bench.created() == [RUN]
    assert bench.run.failure is not None
    assert bench.run.failure.reason == "INTERNAL"


def test_the_steps_of_a_sub_run_say_what_they_wait_for_when_its_run_is_held_no_longer() -> None:
    """Keeps B9."""
    bench = Driven(part("deep", asks("look")))
    bench.launch(calls("deep"))
    bench.pause()
    bench.go_on()
    assert bench.runs[SUB].steps["look"].wait is None

    bench.resume()

    assert bench.runs[SUB].steps["look"].wait is not None


def test_a_sub_run_of_a_held_run_begins_no_attempt() -> None:
    """Keeps B9."""
    bench = Driven(part("deep", asks("look")))
    bench.host()
    bench.launch(calls("deep"))
    bench.pause()
    bench.go_on()
    assert bench.states(SUB) == {"look": "queued"}

    bench.resume()

    assert bench.states(SUB) == {"look": "running"}


def test_a_panel_that_needs_no_agent_goes_without_those_that_no_host_has_in_a_sub_run_too() -> None:
    """Keeps A5: it would wait for them as long as a step may."""
    panel = each("look", inner=(asks("ask"),), agents=("survey", "typos"), min_success=0, max_parallel=2)
    bench = Driven(part("deep", panel))
    bench.host("h1", 4, "survey")
    bench.launch(calls("deep"))
    bench.go_on()

    plans = {event.plan.run: event.plan for _, event in bench.events if isinstance(event, RunCreated)}
    (seated,) = plans[SUB].steps
    assert isinstance(seated.work, ForeachPlan)
    assert (seated.work.agents, seated.work.absent) == (("survey",), ("typos",))
