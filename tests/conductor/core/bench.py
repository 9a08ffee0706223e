"""The core on a bench: a conductor without anything around it, driven input by input. Tests read what it stored and sent."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover, restore
from conductor.core.folded.attempt import Attempt, attempt_owner
from conductor.core.folded.run import Run, apply
from conductor.core.folded.step import Step
from conductor.core.model.commands import (
    Command,
    Decision,
    Evaluate,
    Record,
    Reply,
    StartExecution,
)
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import Event
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    ExecutionReported,
    HostAgent,
    HostPool,
    HostReported,
    Input,
    Reach,
    Report,
    RequestCancel,
    RequestPause,
    RequestResolve,
    RequestResume,
    RequestRun,
    UnusableAgent,
    WorkFinished,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.plan import (
    AgentPlan,
    FoldPlan,
    ForeachPlan,
    GatePlan,
    LoopPlan,
    OnFailure,
    ParentStep,
    RunPlan,
    SnapshotPlan,
    StepPlan,
    SubFlowPlan,
)
from conductor.core.model.states import AttemptState, GateDecision
from conductor.core.model.work import (
    Answer,
    Checked,
    Folded,
    GuardDecided,
    ItemsFound,
    PromptRendered,
    Reported,
    RoundDecided,
    Shown,
    Work,
    WorkKind,
    WorkResult,
)

RUN = "01k" + "a" * 23
OTHER = "01k" + "b" * 23
ANSWERS: dict[WorkKind, Answer] = {
    WorkKind.SKIP_GUARD: GuardDecided(skip=False),
    WorkKind.ITEMS: ItemsFound("items", 2),
    WorkKind.UNTIL: RoundDecided(is_done=False),
    WorkKind.GATHER: Folded("gathered"),
    WorkKind.PROMPT: PromptRendered("prompt"),
    WorkKind.FOLD: Folded("text"),
    WorkKind.SHOW: Shown("shown"),
    WorkKind.CHECK: Checked("findings"),
    WorkKind.COLLECT: Folded("collected", "found"),
    WorkKind.REPORT: Reported("markdown", "json"),
}


def asks(
    step: str,
    *needs: str,
    agents: tuple[str, ...] = ("survey",),
    attempts: int = 3,
    agent: dict[str, object] | None = None,
    **more: object,
) -> StepPlan:
    """A step that asks an agent; `agent` holds more of its plan."""
    asked = replace(AgentPlan(agents, max_attempts=attempts), **(agent or {}))  # type: ignore[arg-type]
    return StepPlan(step, asked, needs=needs, **more)  # type: ignore[arg-type]


def folds(step: str, *needs: str, **more: object) -> StepPlan:
    """A step that folds."""
    return StepPlan(step, FoldPlan(), needs=needs, **more)  # type: ignore[arg-type]


def each(step: str, *needs: str, inner: tuple[StepPlan, ...] = (), **more: object) -> StepPlan:
    """A step with items; `more` is of its plan, but for `on_failure`."""
    outer = {"on_failure": more.pop("on_failure")} if "on_failure" in more else {}
    work = ForeachPlan(inner or (folds("look"),), **{"max_parallel": 9, **more})  # type: ignore[arg-type]
    return StepPlan(step, work, needs=needs, **outer)  # type: ignore[arg-type]


def rounds(step: str, *needs: str, inner: tuple[StepPlan, ...] = (), most: int = 3, **more: object) -> StepPlan:
    """A step with rounds."""
    return StepPlan(step, LoopPlan(inner or (folds("look"),), most), needs=needs, **more)  # type: ignore[arg-type]


def gates(
    step: str,
    *needs: str,
    decisions: tuple[GateDecision, ...] = (GateDecision.APPROVE, GateDecision.REJECT, GateDecision.EDIT),
    expires: float = 0.0,
    **more: object,
) -> StepPlan:
    """A step that asks a person."""
    return StepPlan(step, GatePlan(f"{step}?", decisions, expires), needs=needs, **more)  # type: ignore[arg-type]


def plan(*steps: StepPlan, run: str = RUN, priority: int = 0, timeout: float = 0.0) -> RunPlan:
    return RunPlan(
        run=run,
        flow="flows/test",
        flow_revision="1",
        bundle="bundle",
        inputs="inputs",
        workspace_path="/project",
        workspace_mode="working_tree",
        workspace_revision="",
        snapshot=SnapshotPlan("c" * 40),
        band="small",
        steps=steps,
        priority=priority,
        timeout_seconds=timeout,
    )


def calls(step: str, *needs: str, **more: object) -> StepPlan:
    """A step that runs another flow."""
    return StepPlan(step, SubFlowPlan("flows/called"), needs=needs, **more)  # type: ignore[arg-type]


def part(step: str, *steps: StepPlan, of: str = RUN, root: str = RUN, timeout: float = 0.0) -> RunPlan:
    """The plan of the sub-run of a step."""
    parent = ParentStep(of, step, root, 2 if of == root else 3)
    return replace(plan(*steps, run=f"{of[:20]}{step:_>6}"[-26:], timeout=timeout), parent=parent)


CONTINUE = OnFailure.CONTINUE


class Bench:
    """Holds the state, the journal that was stored, and the last decision."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 1000.0
        self.state = ConductorState(limits=limits or Limits())
        self.last = Decision()
        self.events: list[tuple[str, Event]] = []
        self.said: list[Output] = []
        self.runs: dict[str, Run] = {}
        self.cursors: dict[str, int] = {}
        self.commands: list[Command] = []
        self.replies: list[Reply] = []

    # What reaches it.

    def take(self, *inputs: Input, later: float = 0.01) -> Decision:
        self.now += later
        self.last, self.state = advance(self.state, inputs, self.now)
        for item in self.last.to_store:
            if isinstance(item, Record):
                self.events.append((item.run, item.event))
                self.runs[item.run] = apply(self.runs.get(item.run), item.event, self.now)
            else:
                self.said.append(item)
        self.cursors.update(dict(self.last.cursors))
        self.commands.extend(self.last.to_send)
        self.replies.extend(self.last.replies)
        return self.last

    def wake(self) -> Decision:
        """Calls at the time that it asked for."""
        assert self.state.wake_at is not None
        return self.take(later=max(self.state.wake_at - self.now, 0))

    def host(
        self,
        name: str = "h1",
        slots: int = 8,
        *agents: str,
        connected: bool = True,
        draining: bool = False,
        instance: str = "",
        unusable: Mapping[str, str] = MappingProxyType({}),
        features: frozenset[str] = frozenset(),
        models: Mapping[str, tuple[HostPool, str]] = MappingProxyType({}),
        labels: Mapping[str, str] = MappingProxyType({}),
        reach: Mapping[str, Reach] = MappingProxyType({}),
        quiet: tuple[tuple[str, float], ...] = (),
    ) -> Decision:
        """Reports a host; `models` says of agents which pool and which model they use."""
        far = {agent: reach.get(agent, Reach.NOTHING) for agent in (*agents, "survey", *unusable)}
        offered = tuple(replace(_offer(agent, models), reach=far[agent]) for agent in agents or ("survey",))
        broken = tuple(UnusableAgent(agent, reason, far[agent]) for agent, reason in unusable.items())
        offered = offered if connected else ()
        pools = tuple({pool.name: pool for pool, _ in models.values()}.values())
        told = HostReported(name, connected, draining, slots, offered, broken, instance, features, pools)
        return self.take(replace(told, labels=tuple(labels.items()), quiet=quiet))

    def launch(
        self,
        *steps: StepPlan,
        run: str = RUN,
        priority: int = 0,
        timeout: float = 0.0,
        parallel: int = 0,
        request: str = "",
        reply: int = 1,
    ) -> Decision:
        asked = replace(plan(*steps, run=run, priority=priority, timeout=timeout), max_parallel=parallel)
        return self.take(RequestRun(asked, (), request, "digest", reply))

    def cancel(self, run: str = RUN, request: str = "", digest: str = "", reply: int = 2) -> Decision:
        return self.take(RequestCancel(run, "enough", request, digest, reply))

    def pause(self, run: str = RUN, request: str = "") -> Decision:
        return self.take(RequestPause(run, "lunch", request, "digest", 3))

    def resume(self, run: str = RUN) -> Decision:
        return self.take(RequestResume(run, reply=4))

    def decide(self, step: str, decision: GateDecision, shown: str = "", text: str = "", reply: int = 5) -> Decision:
        """Decides the newest gate of a step, as a person who has read it."""
        gate = self.step(step).gate
        assert gate is not None
        digest = shown or gate.shown
        return self.take(
            RequestResolve(RUN, step, gate.number, decision, digest, "ann", "peer", "why", text, (), reply=reply)
        )

    def answer(self, kind: WorkKind, step: str = "", answer: Answer | None = None, run: str = RUN) -> Decision:
        attempts = self.runs[run].steps[step].attempts if kind is WorkKind.CHECK else ()
        number = self.runs[run].steps[step].items.begun if kind is WorkKind.UNTIL else 0
        work = Work(run, kind, step, attempts[-1].id if attempts else "", round=number)
        return self.take(WorkFinished(WorkResult(work, answer or ANSWERS[kind])))

    def queue(self, *steps: str, run: str = RUN) -> None:
        """Answers the prompts of steps, so that they wait for a place."""
        for step in steps:
            self.answer(WorkKind.PROMPT, step, PromptRendered(f"prompt of {step}"), run)

    def report(self, attempt: str, first: int, *reports: Report, last: int | None = None) -> Decision:
        return self.take(ExecutionReported(attempt, first, last or first + len(reports) - 1, reports))

    def finish(
        self, step: str, outcome: str = "succeeded", reason: str = "", run: str = RUN, retry_after: float = 0.0
    ) -> Decision:
        """Lets the agent of a step begin, say something and end."""
        attempt = self.attempt(step, run)
        first = self.cursors.get(attempt.id, 0) + 1
        begin = (AgentStarted(Confinement()),) if first == 1 else ()
        return self.report(
            attempt.id,
            first,
            *begin,
            Output(attempt.id, Channel.ANSWER, "words"),
            AgentFinished(AttemptState(outcome), reason, retry_after_seconds=retry_after),
        )

    def complete(self, step: str, run: str = RUN) -> Decision:
        """Has an agent's step succeed, from its prompt on."""
        self.queue(step, run=run)
        self.finish(step, run=run)
        return self.answer(WorkKind.CHECK, step, run=run)

    def crash(self) -> tuple[Command, ...]:
        """Crashes, and restores the state from what is stored; returns what recovery sends."""
        unfinished = {name: run for name, run in self.runs.items() if not run.is_settled}
        ended = {name: run for name, run in self.runs.items() if run.is_settled}
        self.state = restore(unfinished, self.cursors, self.now, ended=ended, limits=self.state.limits)
        return recover(self.state)

    # What came of it.

    @property
    def run(self) -> Run:
        return self.runs[RUN]

    def step(self, name: str, run: str = RUN) -> Step:
        return self.runs[run].steps[name]

    def states(self, run: str = RUN) -> dict[str, str]:
        return {name: str(step.state) for name, step in self.runs[run].steps.items()}

    def attempt(self, step: str, run: str = RUN) -> Attempt:
        return self.step(step, run).attempts[-1]

    def sent(self, kind: type[Command], commands: Iterable[Command] | None = None) -> list[str]:
        """Names what the commands of a kind in the last decision are about."""
        return [_subject(one) for one in (self.last.to_send if commands is None else commands) if isinstance(one, kind)]

    def asked(self, kind: WorkKind) -> list[str]:
        """Names the steps that workers were asked about in the last decision."""
        return [one.work.step for one in self.last.to_send if isinstance(one, Evaluate) and one.work.kind is kind]

    def stored(self, kind: type[Event]) -> list[Event]:
        """Returns the events of a kind in the last decision."""
        return [one.event for one in self.last.to_store if isinstance(one, Record) and isinstance(one.event, kind)]


def _offer(agent: str, models: Mapping[str, tuple[HostPool, str]]) -> HostAgent:
    if agent not in models:
        return HostAgent(agent)
    pool, model = models[agent]
    return HostAgent(agent, "", pool=pool.name, model=model)


def _subject(command: Command) -> str:
    match command:
        case StartExecution():
            return attempt_owner(command.start.execution)[1]
        case Evaluate():
            return command.work.step
        case _:
            return attempt_owner(command.attempt)[1]
