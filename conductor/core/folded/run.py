"""A run, folded from its events: by the same function live, after a restart, and for every reader.

It decides nothing. GetRun, GetStep and WatchRun show `Run`, `Step` and `Attempt`, and beside them bodies (blobs, by digest), text
(the transcript) and positions (the store's).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from conductor.core.folded.replacement import replace
from conductor.core.folded.step import Step, create_step, postpone
from conductor.core.folded.step_folding import StepEvent, apply_to_step
from conductor.core.model.events.attempt_events import (
    AttemptCreated,
    AttemptEnded,
    AttemptStarted,
    InputRefused,
    RepairAsked,
    TurnChecked,
    TurnEnded,
)
from conductor.core.model.events.event_parts import FindingCounts, KeptResult, WorkspaceChanges
from conductor.core.model.events.gate_events import GateOpened, GateResolved, RunPaused, RunResumed
from conductor.core.model.events.run_events import (
    Event,
    ItemsListed,
    RoundJudged,
    RunCancelRequested,
    RunCreated,
    RunReported,
    RunSettled,
    RunStarted,
    RunTimedOut,
    StepBecameReady,
    StepFailed,
    StepGuardPassed,
    StepReused,
    StepsAdded,
    SubRunEnded,
    SubRunStarted,
)
from conductor.core.model.plan import RunPlan, StepPlan
from conductor.core.model.states import (
    SETTLED_RUN,
    SETTLED_STEP,
    Failure,
    IllegalTransitionError,
    PauseCause,
    RunState,
    StepState,
    move_run,
)
from conductor.core.model.step_path import is_step_path, item_of
from conductor.core.model.trace import Trace


class Stop(StrEnum):
    """Why a run stops: the first cause counts."""

    FAILURE = "failure"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Run:
    """A run, with everything that readers see. `steps` is in the flow's order.

    `failure` is why it ended; before the end, it is the failure of the step that stopped the run. `dependants` and `children` are
    the plan's edges reversed, `unsettled` counts steps, and `waiting` those at gates: all four follow from `steps`. `kept` holds
    the results that a retry has from the run that it retries, by step.

    `cancelled_by`, `paused_by` and `resumed_by` are the identities of the callers who asked for it last.

    `pauses` says since when each cause holds the run, `pause_reason` what the operator said. `paused_seconds` is how long all its
    work waited at gates so far: its clock stood still. `served_time` is when an attempt of it began or ended last, or a sub-run.
    `hosts` are those on which an agent of it began: they have its snapshot.
    """

    plan: RunPlan
    steps: Mapping[str, Step]
    create_time: float
    state: RunState = RunState.QUEUED
    stop: Stop | None = None
    cancel_reason: str = ""
    cancelled_by: str = ""
    pauses: Mapping[PauseCause, float] = field(default_factory=dict)
    pause_reason: str = ""
    paused_by: str = ""
    resumed_by: str = ""
    paused_seconds: float = 0.0
    failure: Failure | None = None
    markdown: str = ""
    json: str = ""
    outputs: str = ""
    workspace_changes: WorkspaceChanges | None = None
    start_time: float | None = None
    cancel_time: float | None = None
    end_time: float | None = None
    dependants: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    unsettled: int = 0
    kept: Mapping[str, KeptResult] = field(default_factory=dict, repr=False)
    waiting: int = 0
    trace: Trace | None = None
    served_time: float | None = None
    hosts: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Returns the run's id."""
        return self.plan.run

    @property
    def deadline(self) -> float | None:
        """Returns when the run's time is up; None without a timeout, with nothing left to stop, and while all waits at gates."""
        seconds = self.plan.timeout_seconds
        if not seconds or self.stop is not None or not self.unsettled or PauseCause.GATE in self.pauses:
            return None
        return self.create_time + seconds + self.paused_seconds

    @property
    def is_held(self) -> bool:
        """Returns whether an operator lets no further attempt begin."""
        return PauseCause.OPERATOR in self.pauses and self.stop is None

    @property
    def is_settled(self) -> bool:
        """Returns whether it ended."""
        return self.state in SETTLED_RUN

    @property
    def counts(self) -> FindingCounts:
        """Adds up how the citations of the findings that count were judged (see `list_counted_steps`)."""
        plans = [step.plan for step in self.steps.values()]
        finders = {name for name, step in self.steps.items() if step.state is StepState.SUCCEEDED and step.findings}
        counts = [self.steps[name].counts for name in list_counted_steps(plans, finders)]
        return FindingCounts(
            sum(count.verified for count in counts),
            sum(count.moved for count in counts),
            sum(count.missing for count in counts),
            sum(step.counts.unread for step in self.steps.values()),
            sum(count.placed for count in counts),
        )


def apply(run: Run | None, event: Event, time: float) -> Run:
    """Returns the run after an event. Raises IllegalTransitionError for an event that cannot follow."""
    if run is None:
        if not isinstance(event, RunCreated):
            raise IllegalTransitionError(f"{type(event).__name__} comes before RunCreated")
        return _create(event, time)
    if run.is_settled:
        raise IllegalTransitionError(f"run {run.id} has ended: nothing follows")
    return _change(run, event, time)


def fold(events: Iterable[tuple[Event, float]]) -> Run:
    """Returns the run of a journal: of its events with their times, from the first on."""
    run: Run | None = None
    for event, time in events:
        run = apply(run, event, time)
    if run is None:
        raise IllegalTransitionError("a run without events cannot be folded")
    return run


def list_counted_steps(steps: Sequence[StepPlan], finders: Collection[str]) -> tuple[str, ...]:
    """Returns the steps whose findings count, in the plan's order; `finders` succeeded with findings (or with an empty list).

    A step's findings count until a fold that needs the step directly succeeds with findings of its own: those are the merged
    ones. An agent that reads another step's findings merges nothing, so both count; so does a fold that renders text only. Those
    of an item's steps count until the step with the items succeeds, which has them, too.
    """
    merged = {need for step in steps if step.work.merges_findings and step.id in finders for need in step.needs}
    merged |= {step.id for step in steps if step.parent in finders}
    return tuple(step.id for step in steps if step.id in finders and step.id not in merged)


def key_of(event: Event) -> str:
    """Returns the key that makes an event unique in its run; empty for an event that may come again."""
    match event:
        case RunStarted() | RunCreated() | RunCancelRequested() | RunTimedOut() | RunReported() | RunSettled():
            about = ""
        case AttemptCreated() | AttemptStarted() | AttemptEnded():
            about = f"/{event.attempt}"
        case TurnEnded() | TurnChecked() | InputRefused():
            about = f"/{event.attempt}/{event.turn}"
        case StepBecameReady():
            about = f"/{event.step}/{event.gate}" if event.gate else f"/{event.step}"
        case StepGuardPassed() | RepairAsked() | StepReused() | ItemsListed() | SubRunStarted() | SubRunEnded():
            about = f"/{event.step}"
        case GateOpened() | GateResolved():
            about = f"/{event.step}/{event.number}"
        case StepsAdded() | RoundJudged():
            return _key_of_item(event)
        case _:
            return ""
    return f"{type(event).__name__}{about}"


def _key_of_item(event: StepsAdded | RoundJudged) -> str:
    if isinstance(event, RoundJudged):
        return f"RoundJudged/{event.step}/{event.round}"
    return f"StepsAdded/{item_of(event.steps[0].id)}"


def _change(run: Run, event: Event, time: float) -> Run:
    match event:
        case RunCreated():
            raise IllegalTransitionError(f"run {run.id} was created before")
        case RunStarted() | RunPaused() | RunResumed():
            return _begin_or_pause(run, event, time)
        case RunCancelRequested() | RunTimedOut():
            return _stop(run, event, time)
        case RunReported():
            changes, outputs = event.workspace_changes, event.outputs
            return replace(run, markdown=event.markdown, json=event.json, workspace_changes=changes, outputs=outputs)
        case RunSettled():
            return replace(run, state=move_run(run.state, event.state), failure=event.failure, end_time=time)
        case StepsAdded():
            return _grow(run, event.steps, time)
        case _:
            return _change_step(run, event, time)


def _create(event: RunCreated, time: float) -> Run:
    run = Run(
        plan=event.plan,
        steps={},
        create_time=time,
        kept={kept.step: kept for kept in event.kept},
        trace=event.trace,
    )
    return _add_steps(run, event.plan.steps, time)


def _grow(run: Run, plans: tuple[StepPlan, ...], time: float) -> Run:
    for plan in plans:
        item = item_of(plan.id)
        parent = run.steps.get(plan.parent)
        if not is_step_path(plan.id) or item != item_of(plans[0].id) or item_of(item) != plan.parent:
            raise IllegalTransitionError(f"step {plan.id} is not named after an item of its parent {plan.parent}")
        if parent is None or parent.state is not StepState.RUNNING:
            raise IllegalTransitionError(f"the parent of step {plan.id} is not running")
    run = _add_steps(run, plans, time)
    unsettled = sum(not run.steps[plan.id].is_settled for plan in plans)
    parent = run.steps[plans[0].parent]
    begun = replace(parent, items=parent.items.with_begun(plans[0].index, unsettled))
    return replace(run, steps={**run.steps, parent.plan.id: begun})


def _add_steps(run: Run, plans: tuple[StepPlan, ...], time: float) -> Run:
    added = {plan.id: create_step(plan, time, run.kept.get(plan.id)) for plan in plans}
    if len(added) < len(plans) or not run.steps.keys().isdisjoint(added):
        raise IllegalTransitionError(f"run {run.id} has two steps with one id")
    steps = {**run.steps, **added}
    for plan in plans:
        if plan.parent and plan.parent not in steps:
            raise IllegalTransitionError(f"the parent of step {plan.id} is missing")
    return replace(
        run,
        steps=steps,
        dependants=_with_edges(run.dependants, ((need, plan.id) for plan in plans for need in plan.needs)),
        children=_with_edges(run.children, ((plan.parent, plan.id) for plan in plans if plan.parent)),
        unsettled=run.unsettled + sum(not step.is_settled for step in added.values()),
    )


def _with_edges(known: Mapping[str, tuple[str, ...]], edges: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Returns the targets of each source with further ones. It looks at the new edges only: a run may grow a thousand times."""
    lists: dict[str, list[str]] = {}
    for source, target in edges:
        lists.setdefault(source, []).append(target)
    return {**known, **{source: (*known.get(source, ()), *targets) for source, targets in lists.items()}}


def _begin_or_pause(run: Run, event: RunStarted | RunPaused | RunResumed, time: float) -> Run:
    if not isinstance(event, RunStarted):
        return _pause(run, event, time)
    if run.start_time is not None:
        raise IllegalTransitionError(f"run {run.id} began before")
    state = run.state if run.state is RunState.PAUSED else move_run(run.state, RunState.RUNNING)
    return replace(run, state=state, start_time=time)


def _pause(run: Run, event: RunPaused | RunResumed, time: float) -> Run:
    if (event.cause in run.pauses) is isinstance(event, RunPaused):
        raise IllegalTransitionError(f"run {run.id} is held by {', '.join(run.pauses) or 'nothing'}: not {event}")
    if isinstance(event, RunPaused):
        run = replace(run, state=move_run(run.state, RunState.PAUSED), pauses={**run.pauses, event.cause: time})
        by_operator = event.cause is PauseCause.OPERATOR
        return replace(run, pause_reason=event.reason, paused_by=event.by) if by_operator else run
    since = run.pauses[event.cause]
    run = replace(
        run,
        state=move_run(run.state, event.state),
        pauses={cause: start for cause, start in run.pauses.items() if cause is not event.cause},
    )
    if event.cause is PauseCause.GATE:
        return replace(run, paused_seconds=run.paused_seconds + time - since)
    return replace(
        run,
        resumed_by=event.by or run.resumed_by,
        steps={name: postpone(step, since, time) for name, step in run.steps.items()},
    )


def _stop(run: Run, event: RunCancelRequested | RunTimedOut, time: float) -> Run:
    if isinstance(event, RunTimedOut):
        return replace(run, stop=run.stop or Stop.FAILURE, failure=run.failure or event.failure)
    return replace(
        run,
        state=move_run(run.state, RunState.CANCELLING),
        stop=run.stop or Stop.CANCEL,
        cancel_reason=event.reason,
        cancelled_by=event.by,
        cancel_time=time,
    )


def _change_step(run: Run, event: StepEvent, time: float) -> Run:
    before = run.steps.get(event.step)
    if before is None:
        raise IllegalTransitionError(f"run {run.id} has no step {event.step}")
    step = apply_to_step(before, event, time)
    steps = {**run.steps, event.step: step}
    if (waits := step.state is StepState.WAITING_GATE) is not (before.state is StepState.WAITING_GATE):
        run = replace(run, waiting=run.waiting + (1 if waits else -1))
    if isinstance(event, AttemptCreated | AttemptEnded | SubRunEnded):
        run = replace(run, served_time=time)
    elif isinstance(event, AttemptStarted) and (host := step.attempts[-1].host) not in run.hosts:
        run = replace(run, hosts=run.hosts | {host})
    if step.state not in SETTLED_STEP or before.is_settled:
        return replace(run, steps=steps)
    if step.plan.parent:
        steps[step.plan.parent] = _note_child(steps[step.plan.parent], step)
    elif isinstance(event, StepFailed) and not step.is_dispensable and run.stop is None:
        failure = replace(event.failure, step=event.step)
        return replace(run, steps=steps, unsettled=run.unsettled - 1, stop=Stop.FAILURE, failure=failure)
    return replace(run, steps=steps, unsettled=run.unsettled - 1)


def _note_child(parent: Step, child: Step) -> Step:
    """Returns a step after a child of it ended."""
    badly = child.state is StepState.CANCELLED or (child.state is StepState.FAILED and not child.is_dispensable)
    name = child.plan.id if child.state is StepState.FAILED else ""
    return replace(parent, items=parent.items.with_settled(child.plan.index, name, badly=badly))
