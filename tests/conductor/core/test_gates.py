"""A run waits for a person, and goes on as the person decides. Keeps H1 H2 H3 H4 C4."""

import pytest

from conductor.core.decide.questions import list_pending
from conductor.core.folded.run import key_of
from conductor.core.gates.opening import MOST_RETRIES
from conductor.core.model.commands import Accepted, Rejected, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.gate_events import GateOpened, GateResolved
from conductor.core.model.events.run_events import StepSucceeded
from conductor.core.model.plan import OnFailure
from conductor.core.model.states import Failure, GateDecision, GateState, PauseCause, RunState, StepState
from conductor.core.model.work import Work, WorkFailed, WorkKind
from tests.conductor.core.bench import CONTINUE, RUN, Bench, asks, folds, gates

APPROVE, REJECT, EDIT, RETRY, SKIP = GateDecision
GATE = OnFailure.GATE


def at_gate(*after: object, expires: float = 0.0, **more: object) -> Bench:
    """A run that waits at its first step."""
    bench = Bench()
    bench.host()
    every = (APPROVE, REJECT, EDIT, SKIP)
    bench.launch(gates("plan", decisions=every, expires=expires, **more), *after)  # type: ignore[arg-type]
    bench.answer(WorkKind.SHOW, "plan")
    return bench


def failed(attempts: int = 1) -> Bench:
    """A run whose only agent failed, and asks."""
    bench = Bench()
    bench.host()
    bench.launch(asks("look", attempts=attempts, on_failure=GATE), folds("end", "look"))
    bench.queue("look")
    bench.finish("look", "failed", "AGENT_EXIT_NONZERO")
    return bench


def refused(bench: Bench) -> str:
    reply = bench.replies[-1]
    assert isinstance(reply, Rejected)
    return reply.reason


def test_a_run_pauses_at_its_gate_and_goes_on_when_it_is_approved() -> None:
    """Keeps H2."""
    bench = at_gate(folds("end", "plan"))
    assert bench.states() == {"plan": "waiting_gate", "end": "pending"}
    assert (bench.run.state, set(bench.run.pauses)) == (RunState.PAUSED, {PauseCause.GATE})

    bench.decide("plan", APPROVE)

    assert bench.states() == {"plan": "succeeded", "end": "running"}
    assert (bench.run.state, bench.step("plan").text) == (RunState.RUNNING, "shown")
    gate = bench.step("plan").gate
    assert gate is not None
    assert (gate.id, gate.state, gate.resolver, gate.peer, gate.comment) == (
        "plan-1",
        GateState.APPROVED,
        "ann",
        "peer",
        "why",
    )


@pytest.mark.parametrize(
    ("decision", "step", "end"),
    [(APPROVE, "succeeded", "running"), (REJECT, "failed", "cancelled"), (SKIP, "skipped", "running")],
)
def test_each_decision_ends_a_gate_in_its_way(decision: GateDecision, step: str, end: str) -> None:
    """Keeps H3."""
    bench = at_gate(folds("end", "plan"))
    bench.decide("plan", decision)

    assert bench.states() == {"plan": step, "end": end}


def test_an_edit_gives_the_gate_another_value() -> None:
    """Keeps H3."""
    bench = at_gate(folds("end", "plan"))
    bench.decide("plan", EDIT, text="mine")

    assert bench.stored(StepSucceeded) == [StepSucceeded("plan", "mine")]


def test_a_sibling_goes_on_while_the_gate_is_open() -> None:
    """Keeps H2: the run is not paused before its sibling's chain has come to its end."""
    bench = at_gate(asks("look"), folds("after", "look"))
    assert bench.run.state is RunState.RUNNING

    bench.complete("look")
    bench.answer(WorkKind.FOLD, "after")

    assert bench.states() == {"plan": "waiting_gate", "look": "succeeded", "after": "succeeded"}
    assert bench.run.state is RunState.PAUSED


def test_a_gate_opens_once_also_across_restarts() -> None:
    """Keeps H1, at K9: ten crashes before and ten after its creation."""
    bench = Bench()
    bench.launch(gates("plan"))
    for _ in range(10):
        assert [*map(str, bench.crash())] == [str(bench.commands[0])]
        bench.take()
    bench.answer(WorkKind.SHOW, "plan")
    for _ in range(10):
        assert bench.crash() == ()
        bench.take()
        bench.answer(WorkKind.SHOW, "plan")

    opened = [event for _, event in bench.events if isinstance(event, GateOpened)]
    assert [key_of(event) for event in opened] == ["GateOpened/plan/1"]
    assert bench.run.state is RunState.PAUSED


def test_a_decision_that_was_stored_is_carried_on_after_a_crash() -> None:
    """Keeps H3, at K10: the gate is not asked again, and what follows it begins."""
    bench = at_gate(folds("end", "plan"))
    bench.decide("plan", APPROVE)
    bench.crash()

    assert list(list_pending(bench.run)) == [Work(RUN, WorkKind.FOLD, "end")]
    bench.decide("plan", REJECT)
    assert refused(bench) == "GATE_RESOLVED"


@pytest.mark.parametrize("decision", [APPROVE, REJECT, SKIP])
def test_the_same_decision_again_is_accepted_and_another_one_refused(decision: GateDecision) -> None:
    """Keeps H3."""
    bench = at_gate(folds("end", "plan"))
    bench.decide("plan", decision)
    stored = len(bench.events)

    bench.decide("plan", decision)
    assert bench.replies[-1] == Accepted(5, RUN, repeated=True)
    bench.decide("plan", REJECT if decision is APPROVE else APPROVE)
    assert refused(bench) == "GATE_RESOLVED"
    assert len(bench.events) == stored


def test_an_edit_with_another_text_is_another_decision() -> None:
    """Keeps H3."""
    bench = at_gate(folds("end", "plan"))
    bench.decide("plan", EDIT, text="mine")
    bench.decide("plan", EDIT, text="mine")
    assert isinstance(bench.replies[-1], Accepted)
    bench.decide("plan", EDIT, text="yours")
    assert refused(bench) == "GATE_RESOLVED"


def test_a_decision_about_another_text_than_was_shown_is_refused() -> None:
    """Keeps H3."""
    bench = at_gate(folds("end", "plan"))
    bench.decide("plan", APPROVE, shown="something else")
    assert refused(bench) == "DIGEST_MISMATCH"
    bench.decide("plan", APPROVE)
    bench.decide("plan", APPROVE, shown="something else")
    assert refused(bench) == "DIGEST_MISMATCH"


def test_a_gate_takes_only_the_decisions_that_it_offers() -> None:
    """Keeps H3."""
    bench = at_gate()
    bench.decide("plan", RETRY)
    assert refused(bench) == "INVALID_REQUEST"
    assert bench.states() == {"plan": "waiting_gate"}


def test_a_gate_that_no_person_decides_in_time_is_rejected() -> None:
    """Keeps H4."""
    bench = at_gate(expires=60.0)
    bench.take(later=59.0)
    assert bench.states() == {"plan": "waiting_gate"}
    assert bench.state.wake_at == pytest.approx(bench.now - 59.0 - 0.0 + 60.0, abs=0.1)

    bench.wake()

    gate, failure = bench.step("plan").gate, bench.step("plan").failure
    assert gate is not None
    assert failure is not None
    assert (gate.state, gate.decision, failure.reason) == (GateState.EXPIRED, None, "GATE_EXPIRED")
    bench.decide("plan", APPROVE)
    assert refused(bench) == "GATE_RESOLVED"


def test_a_decision_after_the_time_is_refused_though_the_clock_has_not_rung() -> None:
    """Keeps H4: after a restart the clocks ring late, and the gate stays shut meanwhile."""
    bench = at_gate(expires=60.0)
    bench.crash()
    bench.take(later=61.0)
    assert bench.states() == {"plan": "waiting_gate"}

    bench.decide("plan", APPROVE)

    assert refused(bench) == "GATE_RESOLVED"
    assert bench.states() == {"plan": "failed"}


def test_what_a_gate_cannot_show_fails_its_step() -> None:
    bench = Bench()
    bench.launch(gates("plan"))
    bench.answer(WorkKind.SHOW, "plan", WorkFailed(Failure("SHOW_FAILED", "too long")))
    assert bench.states() == {"plan": "failed"}


def test_a_cancel_supersedes_the_gate() -> None:
    bench = at_gate(folds("end", "plan"))
    bench.cancel()

    gate = bench.step("plan").gate
    assert gate is not None
    assert (bench.states(), gate.state) == ({"plan": "cancelled", "end": "cancelled"}, GateState.SUPERSEDED)
    assert bench.run.state is RunState.CANCELLING
    bench.decide("plan", APPROVE)
    assert refused(bench) == "GATE_RESOLVED"


def test_a_failure_elsewhere_supersedes_the_gate_and_the_run_is_not_paused() -> None:
    bench = at_gate(asks("look", attempts=1))
    bench.queue("look")
    bench.finish("look", "failed", "AGENT_EXIT_NONZERO")

    assert bench.states() == {"plan": "cancelled", "look": "failed"}
    assert bench.run.state is RunState.RUNNING


def test_a_rejected_gate_that_may_fail_lets_the_run_go_on() -> None:
    bench = at_gate(folds("end", "plan"), on_failure=CONTINUE)
    bench.decide("plan", REJECT)
    assert bench.states() == {"plan": "failed", "end": "running"}


@pytest.mark.parametrize(
    ("decision", "text", "step", "end"),
    [
        (APPROVE, "", "failed", "running"),
        (REJECT, "", "failed", "cancelled"),
        (EDIT, "mine", "succeeded", "running"),
        (SKIP, "", "skipped", "running"),
        (RETRY, "", "ready", "pending"),
    ],
)
def test_a_person_decides_about_a_failure(decision: GateDecision, text: str, step: str, end: str) -> None:
    """Keeps C4: the third of three outcomes, `gate`."""
    bench = failed()
    assert bench.states() == {"look": "waiting_gate", "end": "pending"}
    gate = bench.step("look").gate
    assert gate is not None
    assert gate.failure is not None
    assert (gate.failure.reason, gate.decisions) == ("AGENT_EXIT_NONZERO", tuple(GateDecision))
    assert bench.run.stop is None

    bench.decide("look", decision, text=text)

    assert bench.states() == {"look": step, "end": end}
    assert (bench.step("look").failure is gate.failure) is (step == "failed")


def test_a_failed_step_that_is_tried_again_asks_again_under_another_name() -> None:
    """Keeps H1: a gate belongs to the attempt that it is about."""
    bench = failed()
    bench.decide("look", RETRY)
    bench.queue("look")
    assert bench.sent(StartExecution) == ["look"]
    bench.finish("look", "failed", "AGENT_EXIT_NONZERO")

    assert [gate.id for gate in bench.step("look").gates] == ["look-1", "look-2"]
    bench.decide("look", RETRY)
    bench.complete("look")
    assert bench.states() == {"look": "succeeded", "end": "running"}


def test_a_prompt_that_cannot_be_built_asks_a_person_and_is_built_again() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("look", on_failure=GATE))
    for number in (1, 2):
        bench.answer(WorkKind.PROMPT, "look", WorkFailed(Failure("PROMPT_BUILD_FAILED", "no")))
        assert bench.step("look").gates[-1].number == number
        bench.decide("look", RETRY)
        assert bench.asked(WorkKind.PROMPT) == ["look"]
    bench.complete("look")
    assert bench.states() == {"look": "succeeded"}


def test_a_fold_that_failed_is_made_again() -> None:
    bench = Bench()
    bench.launch(folds("end", on_failure=GATE))
    bench.answer(WorkKind.FOLD, "end", WorkFailed(Failure("FOLD_FAILED", "no")))
    bench.decide("end", RETRY)
    assert bench.asked(WorkKind.FOLD) == ["end"]


def test_a_guard_that_failed_is_evaluated_again() -> None:
    bench = Bench()
    bench.launch(folds("end", has_skip_guard=True, on_failure=GATE))
    bench.answer(WorkKind.SKIP_GUARD, "end", WorkFailed(Failure("GUARD_FAILED", "no")))

    bench.decide("end", RETRY)

    assert (bench.asked(WorkKind.SKIP_GUARD), bench.states()) == (["end"], {"end": "ready"})


def test_a_step_is_not_tried_again_without_end() -> None:
    bench = Bench()
    bench.launch(folds("end", on_failure=GATE))
    for _ in range(MOST_RETRIES):
        bench.answer(WorkKind.FOLD, "end", WorkFailed(Failure("FOLD_FAILED", "no")))
        bench.decide("end", RETRY)
    bench.answer(WorkKind.FOLD, "end", WorkFailed(Failure("FOLD_FAILED", "no")))

    assert RETRY not in bench.step("end").gates[-1].decisions


def test_a_step_that_waits_for_a_place_too_long_asks_a_person() -> None:
    bench = Bench()
    bench.launch(asks("look", agent={"queue_timeout_seconds": 5.0}, on_failure=GATE))
    bench.queue("look")
    bench.take(later=6.0)
    assert bench.states() == {"look": "waiting_gate"}
    bench.host()
    bench.decide("look", RETRY)
    bench.complete("look")


def test_a_run_waits_at_gates_without_its_clock() -> None:
    """The clock stands still only while all work waits at gates."""
    bench = Bench()
    bench.host()
    bench.launch(gates("plan"), asks("look"), timeout=100.0)
    bench.answer(WorkKind.SHOW, "plan")
    bench.take(later=30.0)
    assert bench.run.deadline is not None
    bench.complete("look")
    assert bench.run.deadline is None

    bench.take(later=500.0)
    bench.take(later=500.0)
    assert bench.step("plan").state is StepState.WAITING_GATE
    bench.decide("plan", APPROVE)
    assert bench.run.paused_seconds == pytest.approx(1000.0, abs=1.0)


def wake_up(bench: Bench) -> None:
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now + 0.1:
        bench.wake()


def test_gates_stay_within_the_events_of_a_decision() -> None:
    bench = Bench(Limits(events_per_decision=2))
    bench.launch(gates("one"), gates("two"))
    for step in ("one", "two"):
        wake_up(bench)
        bench.answer(WorkKind.SHOW, step)
    wake_up(bench)
    assert bench.run.state is RunState.PAUSED
    bench.decide("two", REJECT)
    wake_up(bench)
    assert bench.states() == {"one": "cancelled", "two": "failed"}


def test_a_decision_is_stored_with_its_author() -> None:
    bench = at_gate()
    bench.decide("plan", APPROVE)
    (event,) = bench.stored(GateResolved)
    assert event == GateResolved("plan", 1, APPROVE, "shown", "ann", "peer", "why")
