"""Everything that the conductor knows while it works: unfinished runs and hosts.

It is a value: `advance` returns a new one. Everything in it follows from the journal and the cursors (see `recover`), except what
hosts repeat anyway. Slots and waits are computed from it; it keeps no counters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from conductor.core.folded.run import Run
from conductor.core.model.inputs import HostAgent, HostPool, Input, Reach
from conductor.core.model.registry import HostEntry
from conductor.core.placing.demand import Demand


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the core. Durations are in seconds."""

    unfinished_runs: int = 200
    hosts: int = 100
    steps_per_run: int = 1000
    # Agents at work at once: of all runs, and of one with its sub-runs.
    attempts: int = 2000
    attempts_per_run: int = 1000
    events_per_decision: int = 500
    ack_interval: float = 1.0
    resume_interval: float = 1.0
    # Longer than an agent lives without its conductor: orphan timeout (10 min), grace, and 10 s for a machine that slept.
    lost_after: float = 720.0
    # A call later than this is not late by chance: the machine slept, so silence proves nothing.
    late_tick: float = 1.0
    # How long after such a call, and after a start, the clocks of queues and runs end nothing: news comes first.
    late_grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Track:
    """A live attempt's place in its stream.

    `cursor` is the last stored number, `ack_at` when it is acknowledged, `resume_at` when the stream restarts. `lost_after` is how
    long the host may be silent. `instance` is that of the host which was given the attempt. `pool` is the pool of its model: it
    holds a slot there until it ends.
    """

    host: str
    lost_after: float
    instance: str = ""
    cursor: int = 0
    ack_at: float | None = None
    resume_at: float | None = None
    resumed_at: float = float("-inf")
    cancelled: bool = False
    pool: str = ""


class Queued(NamedTuple):
    """A queued step: when it may be tried, and what it needs of a host."""

    not_before: float
    demand: Demand


@dataclass(frozen=True, slots=True)
class Ongoing:
    """An unfinished run, with what its scheduling needs.

    `tracks` has one entry for each live attempt, `queue` one for each queued step. `dirty` names the steps
    that must be looked at. `wake_at` is when the run asks to be called without input.
    """

    run: Run
    tracks: Mapping[str, Track] = field(default_factory=dict)
    queue: Mapping[str, Queued] = field(default_factory=dict)
    dirty: tuple[str, ...] = ()
    wake_at: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """A host, as it was reported last. `silent_since` is when it disconnected; None while it is connected.

    `was_reached` is False for a configured host that has never connected. `unusable` says why its other agents cannot run there.
    `turn_agents` are those of its agents that take further inputs after an answer, `models` those that ask a model, by name,
    `place_agents` tools whose findings may name places without a quote.
    `reach` is that of every agent which it knows. `instance_since` is when this process first heard of its instance. `drained`: the
    conductor starts nothing there; `draining` is the host's own word. `removed`: it is here for the attempts that it was given.
    """

    name: str
    connected: bool
    draining: bool = False
    slots: int = 0
    agents: frozenset[str] = frozenset()
    turn_agents: frozenset[str] = frozenset()
    place_agents: frozenset[str] = frozenset()
    unusable: Mapping[str, str] = field(default_factory=dict)
    silent_since: float | None = None
    instance: str = ""
    instance_since: float = 0.0
    was_reached: bool = True
    features: frozenset[str] = frozenset()
    pools: Mapping[str, HostPool] = field(default_factory=dict)
    models: Mapping[str, HostAgent] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    reach: Mapping[str, Reach] = field(default_factory=dict)
    drained: bool = False
    removed: bool = False

    def silence(self, instance: str) -> float | None:
        """Returns since when an instance is silent: its host is away, or came back as another one. None while it is connected."""
        is_another = self.silent_since is None and self.is_another(instance)
        return self.instance_since if is_another else self.silent_since

    def is_another(self, instance: str) -> bool:
        """Returns whether the host has another data folder than the instance, and so cannot know what that one was given."""
        return bool(instance and self.instance) and instance != self.instance


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of model slots, as earlier attempts left it. It follows from stored events (see `core.placing.memory`).

    `loaded` is the model of the last attempt that was launched there. Its turn began at `loaded_at`, and had `launches` so far.
    `served` says of each run that a caller asked for when an attempt of it was launched there last, its sub-runs' included.
    Nothing is launched there before `parked_until`, nor before `quiet_until`, which hosts tell again after a restart.
    """

    loaded: str = ""
    loaded_at: float = 0.0
    launches: int = 0
    parked_until: float = 0.0
    quiet_until: float = 0.0
    served: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConductorState:
    """The whole state. `registry` holds the hosts to drive, `hosts` those of which something was heard.

    `backlog` holds inputs without room in the last decision, `damaged` runs that could not be folded.
    Before `timeouts_suspended_until` the clocks of queues and runs end nothing (see `clocks`).
    """

    ongoing: Mapping[str, Ongoing] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    registry: Mapping[str, HostEntry] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    backlog: tuple[Input, ...] = ()
    unscheduled: bool = False
    timeouts_suspended_until: float = 0.0
    wake_at: float | None = None
    limits: Limits = Limits()

    def run(self, run: str) -> Run | None:
        """Returns an unfinished run; None where there is none."""
        found = self.ongoing.get(run)
        return None if found is None else found.run
