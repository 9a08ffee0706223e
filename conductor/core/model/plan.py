"""A flow as the core sees it: the graph, and what its scheduling needs. Texts stay in the run's pinned bundle.

The bundle (a blob, see `messages`) holds the whole flow, its personas and contracts as they were at launch; the
workers that evaluate guards, prompts, folds and reports read it. Here are only ids, needs and limits.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar


class OnFailure(StrEnum):
    """What a failed step means for its run."""

    FAIL = "fail"
    CONTINUE = "continue"


class OnLost(StrEnum):
    """What a lost attempt means for its step."""

    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often a step is tried again, by what ended an attempt; `infrastructure` None is as often as attempts allow."""

    infrastructure: int | None = None
    rate_limit: int = 5
    hang: int = 0
    schema: int = 0
    agent: int = 0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What asking an agent needs to know before there is a prompt. Durations are seconds, sizes bytes.

    0 where a plan of an earlier version says nothing: no queue clock, the host's own first-output and orphan clocks, the
    conductor's `lost_after`. `max_attempts` bounds all attempts, whatever ended them.
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


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """Bringing results together. The template or the merge is in the bundle."""

    kind: ClassVar[str] = "fold"
    merges_findings: ClassVar[bool] = True


# Every kind of step has a plan here, told by its `kind` where it is stored, and an entry in `core.kinds`.
WorkPlan = AgentPlan | FoldPlan


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step of the graph. `parent` is empty for steps of the flow itself (see `states`)."""

    id: str
    work: WorkPlan
    label: str = ""
    needs: tuple[str, ...] = ()
    has_skip_guard: bool = False
    excluded_because: str = ""
    on_failure: OnFailure = OnFailure.FAIL
    parent: str = ""

    @property
    def kind(self) -> str:
        """Names the kind of the step."""
        return self.work.kind

    @property
    def agent(self) -> AgentPlan | None:
        """Returns how an agent is asked; None where the step asks none."""
        return self.work if isinstance(self.work, AgentPlan) else None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All that a run is started with. `bundle` and `inputs` are digests of blobs stored in the same transaction."""

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
    timeout_seconds: float = 0.0  # 0 in plans of an earlier version: no run clock


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """What the run reads, pinned. See `conductor.v1.Snapshot`.

    `pin_time` is when the pinning began, in seconds of the machine's clock. It is no part of what was pinned: the same tree is
    the same snapshot whenever it was read.
    """

    commit: str
    head_commit: str = ""
    dirty_paths: tuple[str, ...] = ()
    dirty_count: int = 0
    notes: tuple[str, ...] = field(default=())
    pin_time: float = field(default=0.0, compare=False)
