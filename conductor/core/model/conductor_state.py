"""All that the conductor knows while it works: unfinished runs, hosts, and what requests asked.

A value: `advance` gives a new one and leaves the old one as it was. Everything in it follows from the journal and the
cursors (see `recover`), except what hosts tell again anyway. Slots and waits are computed from it; it keeps no counters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conductor.core.model.inputs import Input
from conductor.core.model.run import Run


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the core. Durations are seconds."""

    unfinished_runs: int = 200
    steps_per_run: int = 200
    events_per_decision: int = 500
    remembered_runs: int = 1000
    ack_interval: float = 1.0
    resume_interval: float = 1.0
    # Above what an agent lives without its conductor: orphan timeout (10 min), grace, and 10 s for a machine that slept.
    lost_after: float = 720.0
    # A call that comes later than this was not late by chance: the machine slept, and silence proves nothing.
    late_tick: float = 1.0
    # After such a call, and after a start, the clocks of queue and run end nothing for so long: what happened is heard first.
    late_grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Track:
    """A live attempt's place in its stream.

    `cursor` is the last number stored, `ack_at` when its host is told so, `resume_at` when its stream begins anew.
    `lost_after` is how long its host may be silent. `instance` is the host's that it was given to.
    """

    host: str
    lost_after: float
    instance: str = ""
    cursor: int = 0
    ack_at: float | None = None
    resume_at: float | None = None
    resumed_at: float = float("-inf")
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Ongoing:
    """An unfinished run, with what its scheduling needs at hand.

    `tracks` has one entry per live attempt, `queue` one per queued step (when it may be tried), `dirty` names the steps that
    something happened to since they were looked at. `wake_at` is when the run wants to be called without input.
    """

    run: Run
    tracks: Mapping[str, Track] = field(default_factory=dict)
    queue: Mapping[str, float] = field(default_factory=dict)
    dirty: tuple[str, ...] = ()
    wake_at: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """A host as it was told last. `silent_since` is when it stopped telling; None while it is connected.

    `was_reached` is False of one that is configured, and has told nothing yet.
    `unusable` says why the agents that it has beside `agents` cannot run there.
    `instance_since` is when its instance was told first, as of what this process knows.
    """

    name: str
    connected: bool
    draining: bool = False
    slots: int = 0
    agents: frozenset[str] = frozenset()
    unusable: Mapping[str, str] = field(default_factory=dict)
    silent_since: float | None = None
    instance: str = ""
    instance_since: float = 0.0
    was_reached: bool = True
    features: frozenset[str] = frozenset()

    def silence(self, instance: str) -> float | None:
        """Since when what was given to an instance hears nothing: the host is away, or another stands in its place."""
        is_another = self.silent_since is None and self.is_another(instance)
        return self.instance_since if is_another else self.silent_since

    def is_another(self, instance: str) -> bool:
        """Returns whether it is known to have another data folder than the instance: what was given to that one it cannot know of."""
        return bool(instance and self.instance) and instance != self.instance


@dataclass(frozen=True, slots=True)
class ConductorState:
    """Everything. `backlog` holds inputs that had no room in the last decision, `damaged` runs that could not be folded.

    Before `timeouts_suspended_until` no clock of a queue or run ends anything (see `clocks`).
    """

    ongoing: Mapping[str, Ongoing] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    settled: Mapping[str, None] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    backlog: tuple[Input, ...] = ()
    unscheduled: bool = False
    timeouts_suspended_until: float = 0.0
    wake_at: float | None = None
    limits: Limits = Limits()

    def run(self, run: str) -> Run | None:
        """Returns an unfinished run."""
        found = self.ongoing.get(run)
        return None if found is None else found.run
