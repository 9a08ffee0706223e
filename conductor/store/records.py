"""The values that a store takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.events.run_events import Event
from conductor.core.model.output import Output
from conductor.core.model.plan import RunPlan
from conductor.core.model.states import Failure, RunState


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event at its place in its run. `time` is that of its decision."""

    position: int
    time: float
    event: Event


class StoredOutput(NamedTuple):
    """Text of an attempt at its place in its run. `offset`: bytes of its channel before it.

    A tuple, because a long answer has many thousands: it is made in half the time of a frozen dataclass.
    """

    position: int
    time: float
    offset: int
    output: Output


Stored = StoredEvent | StoredOutput


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that has not ended, as recovery needs it.

    `damage` is empty, or says which row cannot be read; `events` are then those before it, and the run cannot go on.
    """

    run: str
    events: tuple[StoredEvent, ...]
    cursors: Mapping[str, int]
    damage: str = ""


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """The outcome of a request id: the run that it created or stopped, and, where that was deleted, when and why.

    `run` is empty for a request about a host.
    """

    digest: str
    run: str
    deleted: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A run to delete, and what to remember of it. `request_id` is empty where the caller gave none."""

    run: str
    time: float
    why: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """An event in the order of all runs, or the deletion of a run. Ids rise, with gaps."""

    id: int
    run: str
    flow: str
    labels: Mapping[str, str]
    stored: StoredEvent | None
    delete_time: float | None = None  # the run was deleted; there is no event
    is_sub_run: bool = False


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of the feed. `last_id` is where the next page begins: above the last entry where unreadable rows were left out."""

    entries: tuple[FeedEntry, ...]
    last_id: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists show it. `plan` is without its steps, and its question may be cut: see LISTED_QUESTION."""

    run: str
    state: RunState
    create_time: float
    start_time: float | None
    end_time: float | None
    plan: RunPlan
    failure: Failure | None
    counts: FindingCounts
    last_position: int


@dataclass(frozen=True, slots=True)
class RunFilter:
    """A filter of runs. An empty field filters nothing; `create_time_from` is inclusive, `create_time_before` is not."""

    flow: str = ""
    states: tuple[RunState, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    workspace_path: str = ""
    create_time_from: float | None = None
    create_time_before: float | None = None
    text: str = ""
    sub_runs: bool = False  # whether they are listed, too


@dataclass(frozen=True, slots=True)
class RunKey:
    """A place in the list of runs: the next page begins below it."""

    create_time: float
    run: str


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs, newest first. `next` is None on the last page."""

    rows: tuple[RunRow, ...]
    next: RunKey | None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding that counts. `data` is its JSON as the contract of findings has it; `rank` 0 is critical, 4 is info."""

    step: str
    finding: str
    rank: int
    status: str
    data: str


@dataclass(frozen=True, slots=True)
class FindingKey:
    """A place in the list of findings: the next page begins after it."""

    rank: int
    key: int


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A page of findings, most severe first. `next` is None on the last page."""

    rows: tuple[FindingRow, ...]
    next: FindingKey | None


@dataclass(frozen=True, slots=True)
class Usage:
    """The size of a store. The file holds the used bytes, and free room for what comes."""

    file_bytes: int
    used_bytes: int
    runs: int
    settled_runs: int


@dataclass(frozen=True, slots=True)
class SettledRun:
    """A run that has ended, and the bytes that only it holds."""

    run: str
    end_time: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Survey:
    """The content of a database. `settled` are its settled runs, those first that ended first."""

    conductor_id: str
    usage: Usage
    settled: tuple[SettledRun, ...]
