"""One step of a run, folded from its events. States change by the tables of `states` only."""

from dataclasses import dataclass, replace

from conductor.core.folded.attempt import Attempt
from conductor.core.folded.gate import Gate
from conductor.core.folded.items import NOTHING_LISTED, Items
from conductor.core.folded.sub_run import SubRun
from conductor.core.folded.turn import Repair
from conductor.core.model.events.event_parts import FindingCounts, KeptResult
from conductor.core.model.plan import OnFailure, OnInvalid, StepPlan
from conductor.core.model.states import (
    SETTLED_STEP,
    Cause,
    Failure,
    GateDecision,
    StepState,
    WaitKind,
)

# The cause of an attempt that was not tried again for a failure, but to repair the answer of the one before it.
REPAIR = "repair"
# The parameter by which flows choose a model; hosts fill it where a flow does not.
MODEL_PARAMETER = "model"


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait of a queued step, explained by a sentence.

    `until` is when a pause ends. For every other wait it is when the queue clock ends the step; None where there is no such clock.
    `pool` names the pool whose slot it waits for.
    """

    kind: WaitKind
    text: str
    until: float | None = None
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A step, with everything that readers see. `prompt`, `text`, `findings` and `output` are digests of blobs.

    `next_prompt` is what the next attempt is asked: the prompt, or the prompt to repair an answer. `parameters` are empty where
    the plan's hold.
    """

    plan: StepPlan
    state: StepState = StepState.PENDING
    reason: str = ""
    failure: Failure | None = None
    wait: Wait | None = None
    guard_passed: bool = False
    prompt: str = ""
    next_prompt: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    repair: Repair | None = None
    items: Items = NOTHING_LISTED
    sub_run: SubRun | None = None
    attempts: tuple[Attempt, ...] = ()
    gates: tuple[Gate, ...] = ()
    not_before: float = 0.0
    queue_time: float = 0.0  # since when it waits for a place, without pauses
    text: str = ""
    findings: str = ""
    kept: KeptResult | None = None  # with which it is to end
    is_reused: bool = False
    counts: FindingCounts = FindingCounts()
    output: str = ""
    ready_time: float | None = None
    start_time: float | None = None
    end_time: float | None = None

    @property
    def is_settled(self) -> bool:
        """Returns whether it ended."""
        return self.state in SETTLED_STEP

    @property
    def reused(self) -> KeptResult | None:
        """Returns the result with which it ended; None where it ran in this run."""
        return self.kept if self.is_reused else None

    @property
    def is_dispensable(self) -> bool:
        """Returns whether the run goes on without it, should it have failed."""
        if self.reused is not None:
            return self.reused.is_dispensable
        if self.gate is not None and self.gate.decision is GateDecision.APPROVE:
            return True
        return self.plan.on_failure is OnFailure.CONTINUE or (
            self.is_invalid and self.plan.on_invalid is OnInvalid.CONTINUE
        )

    @property
    def is_invalid(self) -> bool:
        """Returns whether it failed because its result does not have the form that was asked for. Its text is kept."""
        return self.failure is not None and self.failure.cause is Cause.SCHEMA

    @property
    def has_text(self) -> bool:
        """Returns whether readers get its text: it succeeded, or what it said does not have the form that was asked for."""
        return self.state is StepState.SUCCEEDED or self.is_invalid

    @property
    def output_blob(self) -> str:
        """Names the blob of what readers get as its output: of its form, or as its agent handed it in; empty for none."""
        if self.state is not StepState.SUCCEEDED:
            return ""
        # Where a person gave the text, what the agent handed in does not count.
        return self.output or (self.attempts[-1].result if self.attempts and not self.text else "")

    @property
    def queue_deadline(self) -> float | None:
        """Returns when the queue clock of a queued step ends it; None where there is no such clock."""
        seconds = self.plan.agent.queue_timeout_seconds if self.plan.agent is not None else 0.0
        return self.queue_time + seconds if seconds and self.state is StepState.QUEUED else None

    def list_parameters(self, *, asks_model: bool) -> tuple[tuple[str, str], ...]:
        """Returns the parameters of an attempt. The flow's choice of a model is not for an agent that asks none."""
        agent = self.plan.agent
        if agent is None:
            return ()
        if not agent.model:
            return self.parameters or agent.parameters
        given = {MODEL_PARAMETER: agent.model, **dict(self.parameters or agent.parameters)}
        return tuple(sorted((name, value) for name, value in given.items() if asks_model or name != MODEL_PARAMETER))

    @property
    def gate(self) -> Gate | None:
        """Returns the newest gate."""
        return self.gates[-1] if self.gates else None

    @property
    def pending_gate(self) -> Gate | None:
        """Returns the gate that it waits at; there is one at most."""
        return self.gates[-1] if self.gates and self.gates[-1].is_pending else None

    @property
    def last_attempt(self) -> Attempt | None:
        """Returns the newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def live_attempt(self) -> Attempt | None:
        """Returns the attempt that may still run; there is one at most."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].is_live else None

    @property
    def live_sub_run(self) -> str:
        """Returns the id of the sub-run whose end is not known; empty where there is none."""
        return self.sub_run.run if self.sub_run is not None and self.sub_run.is_live else ""


def create_step(plan: StepPlan, time: float, kept: KeptResult | None = None) -> Step:
    """Returns a new step. A step that was excluded at launch is settled; `kept` counts for a step of the same item only."""
    if plan.excluded_because:
        return Step(plan, StepState.EXCLUDED, reason=plan.excluded_because, end_time=time)
    return Step(plan, kept=kept if kept is not None and kept.item == plan.item else None)


def postpone(step: Step, since: float, until: float) -> Step:
    """Returns a step whose queue clock stood still for a time."""
    if step.state is not StepState.QUEUED:
        return step
    step = replace(step, queue_time=step.queue_time + max(0.0, until - max(since, step.queue_time)))
    if step.wait is None or step.wait.kind is WaitKind.RETRY:
        return step
    return replace(step, wait=replace(step.wait, until=step.queue_deadline))
