"""The flow of a run as the core sees it: the graph, and what scheduling needs. Texts stay in the run's pinned bundle.

The bundle (a blob) holds the flow, its personas and its contracts as they were at launch. Workers read it to evaluate guards,
prompts, folds and reports. Here are only ids, needs and limits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from conductor.core.model.states import GateDecision


class OnFailure(StrEnum):
    """The effect of a failed step on its run."""

    FAIL = "fail"
    CONTINUE = "continue"
    GATE = "gate"  # a person decides


class OnInvalid(StrEnum):
    """The effect on its run of a step whose result does not have the form that it declares, after the one repair."""

    FAIL = "fail"  # `on_failure` decides
    GATE = "gate"  # a person decides
    CONTINUE = "continue"


class OnLost(StrEnum):
    """The effect of a lost attempt on its step."""

    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """The number of retries for each cause. `infrastructure` None: as many as attempts allow."""

    infrastructure: int | None = None
    rate_limit: int = 5
    hang: int = 0
    schema: int = 0
    agent: int = 0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """The plan of asking an agent. Durations are in seconds.

    Plans of earlier versions have 0 for: no queue clock, the host's own first-output and orphan clocks, the conductor's
    `lost_after`. `max_attempts` bounds all attempts but those that parked a pool (see `retry`).
    """

    kind: ClassVar[str] = "agent"
    merges_findings: ClassVar[bool] = False

    agents: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float = 1800.0
    idle_timeout_seconds: float = 600.0
    max_attempts: int = 3
    first_output_timeout_seconds: float = 0.0
    queue_timeout_seconds: float = 0.0
    orphan_timeout_seconds: float = 0.0
    lost_after_seconds: float = 0.0
    on_lost: OnLost = OnLost.RETRY
    retries: RetryPlan = RetryPlan()
    model: str = ""  # the flow's choice, for agents that ask a model
    labels: tuple[tuple[str, str], ...] = ()  # of the host
    shown_as: str = ""  # the kind that the flow calls it, where that is another one
    repairs: bool = False  # an answer of the wrong form is asked for once more; not so in plans of earlier versions


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """The plan of a fold. Its template or its merge is in the bundle; the core need not know it."""

    kind: ClassVar[str] = "fold"
    merges_findings: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ForeachPlan:
    """The plan of running steps once for each item.

    The ids and needs of `steps` are names: each item makes paths of them. `min_success` None stands for all items. Where
    `agents` are given, they are the items: each is asked by the steps of its own. `absent` are those of them that no host can run.
    """

    kind: ClassVar[str] = "foreach"
    merges_findings: ClassVar[bool] = False

    steps: "tuple[StepPlan, ...]"
    max_parallel: int
    min_success: int | None = None
    fails_when_empty: bool = False
    agents: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    shown_as: str = ""  # what its flow calls it, where that is not its kind


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """The plan of running steps round after round. The ids and needs of `steps` are names, as in a `ForeachPlan`."""

    kind: ClassVar[str] = "loop"
    merges_findings: ClassVar[bool] = False

    steps: "tuple[StepPlan, ...]"
    max_rounds: int


@dataclass(frozen=True, slots=True)
class GatePlan:
    """The plan of a gate. What it shows is in the bundle. `expires_seconds` is 0 where it waits as long as it takes."""

    kind: ClassVar[str] = "gate"
    merges_findings: ClassVar[bool] = False

    title: str
    decisions: tuple[GateDecision, ...]
    expires_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SubFlowPlan:
    """The plan of running another flow as a sub-run. Its inputs are in the bundle, and so is the flow itself."""

    kind: ClassVar[str] = "flow"
    merges_findings: ClassVar[bool] = False

    flow: str


# Every kind of step has a plan here, which is stored with its `kind`, and an entry in `core.kinds.table`.
WorkPlan = AgentPlan | FoldPlan | ForeachPlan | LoopPlan | GatePlan | SubFlowPlan


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step of the graph. `parent` is empty for steps of the flow itself (see `states`).

    A child belongs to an item of its parent, or to a round. `item` is the digest of the blob with all items, `index` its place.
    """

    id: str
    work: WorkPlan
    label: str = ""
    needs: tuple[str, ...] = ()
    has_skip_guard: bool = False
    excluded_because: str = ""
    on_failure: OnFailure = OnFailure.FAIL
    parent: str = ""
    item: str = ""
    index: int = 0
    round: int = 0
    priority: int = 0
    on_invalid: OnInvalid = OnInvalid.FAIL
    has_schema: bool = False  # its output has one, so that what a person gives in its place must fit, too

    @property
    def kind(self) -> str:
        """Names the kind of the step."""
        return self.work.kind

    @property
    def shown_kind(self) -> str:
        """Names the kind of the step as its flow does."""
        return (self.work.shown_as if isinstance(self.work, AgentPlan | ForeachPlan) else "") or self.work.kind

    @property
    def agent(self) -> AgentPlan | None:
        """Returns how an agent is asked; None where the step asks none."""
        return self.work if isinstance(self.work, AgentPlan) else None

    @property
    def gate(self) -> GatePlan:
        """Returns the plan of a step that is a gate; raises TypeError for any other."""
        if not isinstance(self.work, GatePlan):
            raise TypeError(f"step {self.id} is no gate")
        return self.work


def every_step(steps: Iterable[StepPlan]) -> Iterator[StepPlan]:
    """Yields steps, and those inside them."""
    for step in steps:
        yield step
        if isinstance(step.work, ForeachPlan | LoopPlan):
            yield from every_step(step.work.steps)


@dataclass(frozen=True, slots=True)
class ParentStep:
    """The step that a sub-run belongs to. `root` is the run that a caller asked for, which is level 1."""

    run: str
    step: str
    root: str
    level: int


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The plan of a run. `bundle` and `inputs` are digests of blobs, stored in the same transaction."""

    run: str
    flow: str
    flow_revision: str
    bundle: str
    inputs: str
    workspace_path: str
    workspace_mode: str
    workspace_revision: str
    snapshot: "SnapshotPlan"
    band: str
    steps: tuple[StepPlan, ...]
    question: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    priority: int = 0
    timeout_seconds: float = 0.0  # 0 in plans of an earlier version, and of most sub-runs: no run clock
    title: str = ""
    retry_of: str = ""  # the id of the run that this one retries
    plan_hash: str = ""  # empty in plans of an earlier version
    band_reason: str = ""  # why the conductor chose the band; empty where the caller did
    parent: ParentStep | None = None
    workspace_base_revision: str = ""
    max_parallel: int = 0  # agents of it and its sub-runs at once; 0 for the conductor's own limit
    workspace_snapshot: str = ""  # the snapshot that the caller pushed: the path is one of the caller's machine then
    created_by: str = ""  # the identity of the caller; empty in plans of an earlier version
    workspace_url: str = ""  # the repository that was fetched: the path is the same text then

    @property
    def root(self) -> str:
        """Returns the id of the run that a caller asked for: its own, or that of the run that it is part of."""
        return self.parent.root if self.parent is not None else self.run

    @property
    def blobs(self) -> tuple[str, ...]:
        """Returns the digests of the blobs that the plan names."""
        return tuple(digest for digest in (self.bundle, self.inputs, self.snapshot.changes) if digest)


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """The pinned snapshot that the run reads. See `conductor.v1.Snapshot`.

    `pin_time` is when the pinning began, in seconds of the machine's clock. It is not compared: the same tree is the same snapshot.
    `changed` are the first of the `changed_count` files that differ from the base; `changes` is the digest of a blob with all of
    them and their hunks, empty where the scope compares nothing.
    """

    commit: str
    head_commit: str = ""
    dirty_paths: tuple[str, ...] = ()
    dirty_count: int = 0
    notes: tuple[str, ...] = field(default=())
    pin_time: float = field(default=0.0, compare=False)
    scope: str = "whole"
    base_commit: str = ""
    paths: tuple[str, ...] = ()
    changed: tuple["ChangedFile", ...] = ()
    changed_count: int = 0
    changes: str = ""


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that differs from the base. See `conductor.v1.ChangedFile`."""

    path: str
    status: str
    old_path: str = ""
    added_lines: int = 0
    removed_lines: int = 0
    is_binary: bool = False
    mode_changed: bool = False
