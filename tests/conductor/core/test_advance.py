"""The one function that decides: purity, isolation, limits."""

import ast
from pathlib import Path
from typing import Any

import pytest

from conductor.core.decide import advance as advance_module
from conductor.core.decide import decision_draft, progress, reports, schedule
from conductor.core.decide.advance import advance
from conductor.core.decide.endings import clocks
from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.step import Step
from conductor.core.model.commands import Accepted, CancelExecution, Rejected
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import RunSettled
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    ExecutionReported,
    RequestCancel,
    RequestRun,
    WorkFinished,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState, RunState
from conductor.core.model.work import Checked, PromptRendered, Work, WorkKind, WorkResult
from tests.conductor.core.bench import OTHER, RUN, Bench, asks, folds, plan

FORBIDDEN = {
    "asyncio",
    "grpc",
    "google",
    "sqlite3",
    "aiosqlite",
    "structlog",
    "logging",
    "time",
    "random",
    "uuid",
    "os",
    "subprocess",
    "threading",
}


def test_the_core_imports_nothing_that_acts() -> None:
    for path in Path(progress.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & FORBIDDEN, path


def test_the_same_arguments_give_the_same_decision_and_the_state_stays_as_it_was() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"))
    bench.queue("one")
    attempt = bench.attempt("one").id
    report = ExecutionReported(attempt, 1, 2, (AgentStarted(Confinement()), Output(attempt, Channel.LOG, "x")))
    before = repr(bench.state)

    once = advance(bench.state, [report], 2000.0)
    again = advance(bench.state, [report], 2000.0)

    assert once == again
    assert repr(bench.state) == before


def nonsense(step: str, run: str = RUN) -> WorkFinished:
    """An answer that does not belong to its question: a defect of ours, which must not spread."""
    return WorkFinished(WorkResult(Work(run, WorkKind.PROMPT, step), Checked()))


def test_a_defect_in_one_run_ends_that_run_and_harms_no_other() -> None:
    """Keeps rule 6."""
    bench = Bench()
    bench.host()
    for run in (RUN, OTHER):
        bench.launch(asks("one"), asks("two"), run=run)
        bench.queue("one", run=run)
    doomed, other = bench.attempt("one").id, bench.attempt("one", OTHER).id

    bench.take(
        ExecutionReported(doomed, 1, 1, (AgentStarted(Confinement()),)),
        nonsense("two"),
        ExecutionReported(other, 1, 1, (AgentStarted(Confinement()),)),
    )

    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert (bench.run.failure.reason, bench.run.failure.kind) == ("INTERNAL", "FATAL")
    assert bench.run.failure.message.startswith("TypeError: ")
    assert bench.states() == {"one": "cancelled", "two": "cancelled"}
    assert bench.sent(CancelExecution) == ["one"]
    assert bench.states(OTHER) == {"one": "running", "two": "ready"}
    assert list(bench.state.ongoing) == [OTHER]
    assert bench.last.cursors == ((other, 1),)


def test_a_request_about_a_run_that_breaks_is_answered() -> None:
    bench = Bench()
    bench.launch(asks("one"))

    bench.take(RequestCancel(RUN, "enough", reply=5), nonsense("one"))
    assert [(one.reply, one.reason) for one in bench.last.replies if isinstance(one, Rejected)] == [(5, "INTERNAL")]
    bench.launch(asks("one"), run=OTHER)
    bench.take(nonsense("one", OTHER), RequestCancel(OTHER, "enough", reply=6))

    assert [(one.reply, one.reason) for one in bench.last.replies if isinstance(one, Rejected)] == [
        (6, "RUN_NOT_RUNNING")
    ]


def test_a_run_that_breaks_while_it_is_created_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    break_on(monkeypatch, "poison")

    decision = bench.take(
        RequestRun(plan(asks("poison")), (), "id", "d", 1), RequestRun(plan(asks("fine"), run=OTHER), (), "x", "d", 2)
    )

    assert {one.reply: type(one) for one in decision.replies} == {1: Rejected, 2: Accepted}
    assert {one.run for one in decision.to_store} == {OTHER}


def test_a_run_whose_steps_cannot_even_be_ended_is_ended_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"))
    bench.queue("one")

    def cannot(draft: RunDraft, message: str) -> RunDraft:
        raise RuntimeError(message)

    monkeypatch.setattr(decision_draft, "_end_everything", cannot)
    bench.take(nonsense("two"))

    assert [type(event) for event in bench.stored(RunSettled)] == [RunSettled]
    assert bench.sent(CancelExecution) == ["one"]
    assert bench.state.ongoing == {}


def break_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = progress._look_at

    def look_at(draft: RunDraft, step: Step) -> None:
        if step.plan.id == name:
            raise RuntimeError("poisoned")
        real(draft, step)

    monkeypatch.setattr(progress, "_look_at", look_at)


PLACES = (
    (progress, "_look_at"),
    (schedule, "agent_of"),
    (schedule, "create_attempt"),
    (reports, "_take_parts"),
    (reports, "_finish"),
    (clocks, "ring_clocks"),
    (RunDraft, "tell_hosts"),
    (RunDraft, "finished"),
    (RunDraft, "deadlines"),
    (RunDraft, "move_cursor"),
    (RunDraft, "emit"),
)


@pytest.mark.parametrize(("place", "name"), PLACES, ids=[name for _, name in PLACES])
def test_a_defect_anywhere_in_one_run_ends_that_run_and_harms_no_other(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    """Keeps rule 6: planted in one function after the other, it strikes only where the poisoned step is concerned."""
    bench = Bench()
    bench.host("h1", 8)
    bench.launch(asks("poison"), asks("more"), timeout=1e6)
    bench.launch(asks("fine"), asks("well"), run=OTHER, timeout=1e6)
    bench.queue("more")
    bench.queue("fine", run=OTHER)
    real = getattr(place, name)

    def planted(*given: Any, **named: Any) -> Any:
        if name != "emit" and any(isinstance(one, RunDraft) and one.run.id == RUN for one in given):
            raise RuntimeError("planted")
        if "poison" in repr(given):
            raise RuntimeError("planted")
        return real(*given, **named)

    monkeypatch.setattr(place, name, planted)
    if place is clocks:
        monkeypatch.setattr(advance_module, name, planted)
        assert bench.state.wake_at is not None
        bench.now = bench.state.wake_at - 0.005  # when the first run's time is up, and the other's is not
    more = bench.attempt("more").id
    begin = (AgentStarted(Confinement()), Output(more, Channel.LOG, "x"), AgentFinished(AttemptState.SUCCEEDED))
    late = ExecutionReported(more, 1, 3, begin)
    prompt = WorkFinished(WorkResult(Work(RUN, WorkKind.PROMPT, "poison"), PromptRendered("p")))
    bench.take(late, prompt, ExecutionReported(bench.attempt("fine", OTHER).id, 1, 3, begin))
    monkeypatch.undo()

    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert (bench.run.failure.reason, bench.run.failure.kind) == ("INTERNAL", "FATAL")
    assert bench.runs[OTHER].steps["fine"].attempts[0].state is AttemptState.SUCCEEDED
    assert list(bench.state.ongoing) == [OTHER]


def test_a_decision_holds_so_many_events_and_the_next_one_is_due_at_once() -> None:
    """Keeps rule 15."""
    bench = Bench(Limits(events_per_decision=50))
    steps = [asks(f"s{number}") for number in range(120)]
    bench.launch(*steps)
    sizes = [len(bench.last.to_store)]
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        sizes.append(len(bench.take(later=0).to_store))

    assert sizes == [50, 50, 21]
    assert set(bench.states().values()) == {"ready"}


def test_places_that_find_no_room_are_given_by_the_next_decision() -> None:
    bench = Bench(Limits(events_per_decision=6))
    steps = [f"s{number}" for number in range(10)]
    bench.launch(*(asks(step) for step in steps))
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)
    bench.queue(*steps)

    bench.host("h1", 10)
    assert 0 < len(bench.last.to_send) < 10
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)

    assert set(bench.states().values()) == {"running"}


def test_steps_that_can_never_begin_are_ended_by_as_many_decisions_as_it_takes() -> None:
    """Keeps C3."""
    bench = Bench(Limits(events_per_decision=3))
    count = 10
    bench.launch(*(folds(f"s{number}", f"s{(number + 1) % count}") for number in range(count)))
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)

    assert set(bench.states().values()) == {"cancelled"}
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.FAILED


def test_inputs_that_find_no_room_are_taken_first_by_the_next_decision() -> None:
    bench = Bench(Limits(events_per_decision=2))
    requests = [RequestRun(plan(asks("one"), run=f"run{number}"), (), "", "", number) for number in range(5)]

    bench.take(*requests)
    assert len(bench.state.backlog) == 3
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)

    assert sorted(one.reply for one in bench.replies) == [0, 1, 2, 3, 4]
    assert bench.state.backlog == ()
    assert all(states == {"one": "ready"} for states in map(bench.states, bench.runs))


def test_a_large_run_is_cancelled_in_pieces_and_starts_nothing_meanwhile() -> None:
    bench = Bench(Limits(events_per_decision=20))
    steps = [f"s{number}" for number in range(60)]
    bench.launch(*(asks(step) for step in steps))
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)
    bench.queue(*steps)

    bench.cancel()
    bench.host("h1", 100)
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)

    assert set(bench.states().values()) == {"cancelled"}
    assert not any(step.attempts for step in bench.run.steps.values())


def test_nothing_to_do_is_a_decision_that_stores_and_sends_nothing() -> None:
    bench = Bench()

    decision = bench.take()

    assert decision == type(decision)()
