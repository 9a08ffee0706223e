"""Random trees of steps that grow while their run goes on, with crashes: trees of every shape keep a few promises."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor.core.decide.questions import list_pending
from conductor.core.folded.run import Run, fold, key_of
from conductor.core.folded.step import Step
from conductor.core.model.commands import Command, Decision, Evaluate, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import (
    StepBecameReady,
    StepCancelled,
    StepFailed,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.plan import (
    AgentPlan,
    FoldPlan,
    ForeachPlan,
    GatePlan,
    LoopPlan,
    OnFailure,
    StepPlan,
    WorkPlan,
)
from conductor.core.model.states import GateDecision, RunState, StepState
from conductor.core.model.step_path import PATH_IDS, item_of
from conductor.core.model.work import Answer, GuardDecided, ItemsFound, RoundDecided, Work, WorkKind
from tests.conductor.core.bench import ANSWERS, Bench

Draw = st.DrawFn
MOST_TURNS = 500
MOST_STEPS = 20
GATE = GatePlan("go on?", tuple(decision for decision in GateDecision if decision is not GateDecision.RETRY))
WORKS = (AgentPlan(("survey",), max_attempts=2), FoldPlan(), GATE)
ENDS = (StepSucceeded, StepFailed, StepSkipped, StepCancelled)


def in_a_chain(works: list[WorkPlan]) -> tuple[StepPlan, ...]:
    """Steps of which each needs the one before it."""
    needs = [(), *((f"n{number}",) for number in range(len(works)))]
    return tuple(StepPlan(f"n{number}", work, needs=needs[number]) for number, work in enumerate(works))


def holders(inner: st.SearchStrategy[WorkPlan]) -> st.SearchStrategy[WorkPlan]:
    """Works with steps inside."""
    steps = st.lists(inner, min_size=1, max_size=2).map(in_a_chain)
    items = st.builds(ForeachPlan, steps, st.integers(1, 2), min_success=st.sampled_from((None, 0, 1)))
    return st.one_of(items, st.builds(LoopPlan, steps, st.integers(1, 3)))


TREES: st.SearchStrategy[WorkPlan] = st.recursive(st.sampled_from(WORKS), holders, max_leaves=3)


@st.composite
def forests(draw: Draw) -> tuple[StepPlan, ...]:
    """Steps whose parents and needs are steps before them. Some add steps while they run."""
    steps: list[StepPlan] = []
    for number in range(draw(st.integers(1, 6))):
        earlier = [step.id for step in steps]
        parents = (step.id for step in steps if isinstance(step.work, AgentPlan | FoldPlan))
        parent = draw(st.sampled_from(["", *parents]))
        needs = draw(st.sets(st.sampled_from(earlier), max_size=2)) if earlier else set()
        steps.append(
            StepPlan(
                id=f"s{number}",
                work=draw(TREES),
                needs=tuple(sorted(needs - {parent})),
                has_skip_guard=draw(st.booleans()),
                on_failure=draw(st.sampled_from(OnFailure)),
                parent=parent,
            )
        )
    return tuple(steps)


OUTCOMES = st.sampled_from(
    [("succeeded", ""), ("succeeded", ""), ("failed", "AGENT_EXIT_NONZERO"), ("failed", "SHIM_LOST")]
)


class Grower:
    """Drives a bench to its end, with what hypothesis draws, and adds to the tree on the way."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.bench = Bench(Limits(steps_per_run=MOST_STEPS))
        self._connect()
        self.bench.launch(*data.draw(forests(), "flow"))
        self.open: set[Work] = set()
        self._note_questions(self.bench.last.to_send)

    def _connect(self) -> Decision:
        return self.bench.host(slots=3, features=frozenset({PATH_IDS}))

    def live(self) -> None:
        done = 0
        for _ in range(MOST_TURNS):
            if not self.bench.state.ongoing:
                return
            if self.data.draw(st.integers(0, 9), "crash") == 0:
                self.open = {command.work for command in self.bench.crash() if isinstance(command, Evaluate)}
                self._note_questions(self._connect().to_send)
            if done < len(self.bench.commands):
                self._obey(done)
                done += 1
            elif self.bench.state.wake_at is not None:
                self._note_questions(self.bench.wake().to_send)
            elif gates := [name for name, step in self.bench.run.steps.items() if step.pending_gate]:
                self._decide(self.data.draw(st.sampled_from(gates), "gate"))
            else:
                raise AssertionError(f"it hangs: {self.bench.states()}")
        raise AssertionError(f"it never ends: {self.bench.states()}")

    def _decide(self, step: str) -> None:
        """Nothing else goes on: the run is paused, and a person decides."""
        assert self.bench.run.state is RunState.PAUSED
        gate = self.bench.step(step).gate
        assert gate is not None
        self._note_questions(
            self.bench.decide(step, self.data.draw(st.sampled_from(gate.decisions), "decision")).to_send
        )

    def _obey(self, place: int) -> None:
        match self.bench.commands[place]:
            case Evaluate(work=work):
                self.open.discard(work)
                self._note_questions(self.bench.answer(work.kind, work.step, self._answer(work.kind)).to_send)
            case StartExecution(start=start):
                _, step, _ = start.execution.split("-")
                if self.bench.attempt(step).is_live:
                    self._note_questions(self.bench.finish(step, *self.data.draw(OUTCOMES, "outcome")).to_send)
            case _:
                pass

    def _answer(self, kind: WorkKind) -> Answer:
        match kind:
            case WorkKind.SKIP_GUARD:
                return GuardDecided(self.data.draw(st.integers(0, 3), "skip") == 0, "no need")
            case WorkKind.ITEMS:
                return ItemsFound("items", self.data.draw(st.integers(0, 3), "items"))
            case WorkKind.UNTIL:
                return RoundDecided(self.data.draw(st.booleans(), "done"))
            case _:
                return ANSWERS[kind]

    def _note_questions(self, sent: Iterable[Command]) -> None:
        """Each open question is asked once: what is pending in the stored run is what was asked and not answered."""
        asked = [command.work for command in sent if isinstance(command, Evaluate)]
        assert self.open.isdisjoint(asked)
        self.open.update(asked)
        pending = set(list_pending(self.bench.run))
        assert pending <= self.open
        self.open &= pending  # a step that was stopped needs no answer any more
        for step in self.bench.run.steps.values():
            if isinstance(step.plan.work, ForeachPlan | LoopPlan):
                most = step.plan.work.max_parallel if isinstance(step.plan.work, ForeachPlan) else 1
                assert len(live_items(self.bench.run, step)) <= most


def items_of(run: Run, step: Step) -> list[str]:
    """Returns the items that a step was given, in order."""
    return list(dict.fromkeys(item_of(child) for child in run.children.get(step.plan.id, ())))


def live_items(run: Run, step: Step) -> set[str]:
    """Returns the items of a step that have not ended."""
    return {item_of(child) for child in run.children.get(step.plan.id, ()) if not run.steps[child].is_settled}


@settings(max_examples=150)
@given(st.data())
def test_every_tree_ends_and_parents_end_after_their_children(data: st.DataObject) -> None:
    """Keeps C3, B4."""
    grower = Grower(data)
    grower.live()
    bench = grower.bench

    events = [event for _, event in bench.events]
    ends = {event.step: place for place, event in enumerate(events) if isinstance(event, ENDS)}
    began = {event.step: place for place, event in enumerate(events) if isinstance(event, StepBecameReady)}
    assert len([event for event in events if isinstance(event, ENDS)]) == len(ends)
    assert set(ends) == set(bench.run.steps)
    for name, step in bench.run.steps.items():
        for child in bench.run.children.get(name, ()):
            assert step.state in {StepState.SKIPPED, StepState.CANCELLED} or ends[child] < ends[name]
            assert child not in began or began[name] < began[child]
        for need in step.plan.needs:
            assert name not in began or ends[need] < began[name]
    attempts = [event.attempt for event in events if isinstance(event, AttemptEnded)]
    assert len(attempts) == len(set(attempts)) == sum(len(step.attempts) for step in bench.run.steps.values())
    assert replace(fold((event, 0.0) for event in events), steps={}).state is bench.run.state
    keys = [key for event in events if (key := key_of(event))]
    assert len(keys) == len(set(keys))
    assert len(bench.run.steps) <= MOST_STEPS
    for step in bench.run.steps.values():
        if isinstance(step.plan.work, ForeachPlan | LoopPlan):
            items = items_of(bench.run, step)
            assert items == [f"{step.plan.id}.{index}" for index in range(len(items))]
            is_whole = step.items.is_done or len(items) == (
                step.items.count if isinstance(step.plan.work, ForeachPlan) else step.plan.work.max_rounds
            )
            assert step.state is not StepState.SUCCEEDED or step.gates or is_whole
