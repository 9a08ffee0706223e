"""Gathers how a conductor stands: hosts, slots, pools, unfinished work, watchers and the database's size.

Gauges are read off the engine's state when a page is made, and kept nowhere. No run is folded and no row is read for them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from prometheus_client.core import Metric

from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.states import SETTLED_RUN, RunState, WaitKind
from conductor.core.placing.standing import PoolUse, list_uses
from conductor.hosts.host_view import HostState
from conductor.telemetry.sources import Sources, Standing
from servicekit.metrics.families import gauge, gauges
from servicekit.metrics.names import MAX_NAME_CHARACTERS

MAX_POOLS = 100
MAX_HOSTS = 200


class PresentMetrics:
    """The gauges of one conductor."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def gather(self) -> Iterator[Metric]:
        """Yields the metrics of this moment."""
        state = self._sources.state()
        yield gauges("conductor_info", "The conductor's version.", "version", {self._sources.version: 1})
        yield from _gather_role(self._sources.role())
        yield from _gather_work(state)
        yield from self._gather_hosts(state)
        yield from _gather_pools(list_uses(state, self._sources.now())[:MAX_POOLS])
        yield gauge("conductor_watchers", "Open watches of runs.", self._sources.watchers())
        if self._sources.database.exists():  # else a server has it, and tells its size itself
            sizes = {part: _size(Path(f"{self._sources.database}{end}")) for part, end in _FILES.items()}
            yield gauges("conductor_database_bytes", "Size of the database's files.", "file", sizes)

    def _gather_hosts(self, state: ConductorState) -> Iterator[Metric]:
        views = list(self._sources.hosts())[:MAX_HOSTS]
        counts = Counter(view.state for view in views)
        yield gauges("conductor_hosts", "Hosts, by state.", "state", {each.value: counts[each] for each in HostState})
        known = {view.name: view.host for view in views if view.host is not None}
        slots = {name: host.slots for name, host in known.items()}
        yield gauges("conductor_host_slots", "Slots of a host, as it told last.", "host", slots)
        live = Counter(track.host for one in state.ongoing.values() for track in one.tracks.values())
        used = {view.name: live[view.name] for view in views}
        yield gauges("conductor_host_attempts", "Live attempts of this conductor on a host.", "host", used)
        proven = {name: host.sandbox.available for name, host in known.items()}
        yield gauges(
            "conductor_host_sandbox_proven", "1 where a host has proven that it confines agents.", "host", proven
        )


def _gather_role(role: Standing) -> Iterator[Metric]:
    roles = {"active": role.is_active, "standby": not role.is_active}
    yield gauges("conductor_role", "1 for the role of this conductor.", "role", roles)
    text = "How long the active conductor still holds its lease, as the database told it last."
    yield gauge("conductor_lease_seconds", text, role.lease_seconds)
    yield gauge("conductor_standby_lag_seconds", "How old is what a standby shows.", role.lag_seconds)


def _gather_work(state: ConductorState) -> Iterator[Metric]:
    ongoing = list(state.ongoing.values())
    runs = Counter(one.run.state for one in ongoing)
    states = {each.value: runs[each] for each in RunState if each not in SETTLED_RUN}
    yield gauges("conductor_runs_unfinished", "Runs that have not ended, by state.", "state", states)
    yield gauge("conductor_steps_queued", "Steps that wait for a place.", sum(len(one.queue) for one in ongoing))
    waits = Counter(step.wait.kind for one in ongoing for name in one.queue if (step := one.run.steps[name]).wait)
    kinds = {each.value: waits[each] for each in WaitKind if each is not WaitKind.GATE}
    yield gauges("conductor_steps_waiting", "Queued steps, by what they wait for.", "kind", kinds)
    live = sum(len(one.tracks) for one in ongoing)
    yield gauge("conductor_attempts_live", "Attempts that hosts were given and that have not ended.", live)
    yield gauge("conductor_gates_pending", "Steps that wait at a gate.", sum(one.run.waiting for one in ongoing))


def _gather_pools(uses: Sequence[PoolUse]) -> Iterator[Metric]:
    uses = [replace(use, name=use.name[:MAX_NAME_CHARACTERS]) for use in uses]
    for name, text, values in (
        ("pool_slots", "Slots of a pool of models.", {use.name: use.slots for use in uses}),
        ("pool_slots_used", "Slots that this conductor's attempts hold.", {use.name: len(use.holders) for use in uses}),
        ("pool_steps_waiting", "Queued steps that could run there.", {use.name: use.waiting for use in uses}),
        ("pool_parked", "1 while a rate limit parks a pool.", {use.name: use.parked_until > 0 for use in uses}),
    ):
        yield gauges(f"conductor_{name}", text, "pool", values)


_FILES = {"database": "", "log": "-wal"}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
