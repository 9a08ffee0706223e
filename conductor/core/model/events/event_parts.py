"""Parts of events: what several of them hold."""

from dataclasses import dataclass

from conductor.core.model.states import Failure, StepState


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """Counts of findings, by how their citations were judged."""

    verified: int = 0
    moved: int = 0
    missing: int = 0
    unread: int = 0  # answers that should hold findings, and hold none that can be read
    placed: int = 0  # a tool's, which name a place and quote nothing

    @property
    def total(self) -> int:
        """Returns the number of findings."""
        return self.verified + self.moved + self.placed + self.missing


@dataclass(frozen=True, slots=True)
class Confinement:
    """The confinement of an attempt, as its host proved it."""

    mechanism: str = ""
    policy_digest: str = ""
    argv: tuple[str, ...] = ()
    uid: int = 0
    snapshot_fingerprint_before: str = ""
    snapshot_fingerprint_after: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelUse:
    """An attempt's requests to its model, as its host's gateway counted them. `statuses` pairs each status with its number."""

    model: str = ""  # the name that the endpoint gave with its last answer
    requests: int = 0
    refused: int = 0
    broken: int = 0
    metered: int = 0
    rate_limited: int = 0
    statuses: tuple[tuple[int, int], ...] = ()
    kept_back: tuple[str, ...] = ()  # fields, headers, parameters and tools that were not passed on


@dataclass(frozen=True, slots=True)
class StartSpec:
    """The request to a host: the serialized Start is a pure function of this and of the prompt's blob."""

    execution: str
    agent: str
    prompt: str  # digest of a blob
    snapshot: str
    parameters: tuple[tuple[str, str], ...]
    timeout_seconds: float
    idle_timeout_seconds: float
    # 0 leaves it to the host. Starts of an earlier version did, and are sent again byte for byte.
    first_output_timeout_seconds: float = 0.0
    orphan_timeout_seconds: float = 0.0
    turns: int = 0  # the most turns that the attempt may take; 0: it answers once and ends
    # How much longer the first output may take because the model must be loaded first; 0 where it is loaded.
    loading_timeout_seconds: float = 0.0
    traceparent: str = ""  # of the attempt's span, where its run has a trace


@dataclass(frozen=True, slots=True)
class WorkspaceChanges:
    """The user's tree at the end of a run, compared with what was pinned.

    `count` paths differ, and some of them are named. `note` says why that is not known, or not for every path.
    """

    count: int = 0
    paths: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeptResult:
    """The end of a step of an earlier run, copied whole into the run that retries it: the earlier run may be deleted.

    Digests of blobs: `text` (its beginning, where `text_bytes` is more), `findings`, `output`.
    `run` and `attempt` name where it was made, with `agent`, `host` and `model`. `item` is that of a child (see `StepPlan`).
    """

    step: str
    run: str
    state: StepState
    item: str = ""
    began: bool = False
    text: str = ""
    text_bytes: int = 0
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""
    reason: str = ""
    failure: Failure | None = None
    is_dispensable: bool = False  # whether its run went on without it
    repair: str = ""  # what was wrong with an answer that was repaired
    attempt: str = ""
    attempts: int = 0  # how many it took
    agent: str = ""
    host: str = ""
    model: str = ""
    answer_truncated: bool = False
    answer_note: str = ""
    confinement: Confinement | None = None


@dataclass(frozen=True, slots=True)
class UsableAnswer:
    """An answer that has its form, though some of its evidence was not found. Digests of blobs: its findings and its output."""

    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""
