"""The ring, joined: engine and dispatcher, and for each host the links of its liveness, its executions and its snapshots.

It opens nothing and stops nothing: `app` supplies a store, a clock, channels and an evaluator, and runs its parts. The simulation
supplies others and runs the same parts (tests/simulation).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import grpc

from conductor.clock import Clock
from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover
from conductor.core.folded.run import Run
from conductor.core.model.commands import Command
from conductor.core.model.conductor_state import ConductorState
from conductor.engine.dispatcher import Dispatcher, Evaluator
from conductor.engine.inbox import Note
from conductor.engine.loop import Advance, Engine
from conductor.engine.stored import Observer
from conductor.hosts.attempt_stream import Sources
from conductor.hosts.executions import ExecutionLink
from conductor.hosts.host_view import HostView
from conductor.hosts.identity import Identity
from conductor.hosts.liveness import HostLink
from conductor.hosts.snapshots import SnapshotLink
from conductor.snapshots import SnapshotStore
from conductor.store.port import Store


@dataclass(frozen=True, slots=True)
class Reach:
    """The address of a host, and a channel to it."""

    address: str
    channel: grpc.aio.Channel


@dataclass(frozen=True, slots=True)
class Ground:
    """The parts that the ring stands on; the caller opens and closes them."""

    store: Store
    clock: Clock
    snapshots: SnapshotStore
    hosts: Mapping[str, Reach]
    silence_seconds: float
    # Finds the cause of a failed connection to a host, from its name and address.
    explain: Callable[[str, str], Awaitable[str]] | None = None


# Makes what evaluates authors' expressions, from a place for its answers and a look at a run that is at work.
MakeEvaluator = Callable[[Callable[[Note], None], Callable[[str], Run | None]], Evaluator]


class Ring:
    """The engine, joined with everything that it drives."""

    def __init__(
        self,
        ground: Ground,
        state: ConductorState,
        make_evaluator: MakeEvaluator,
        advance: Advance = advance,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._ground = ground
        self.engine = Engine(
            advance,
            state,
            ground.store,
            self.dispatch,
            ground.clock,
            recovered=recover(state),
            observers=observers,
        )
        self.evaluator = make_evaluator(self.engine.note, self.ongoing)
        self.hosts = {name: self._host_link(name, reach) for name, reach in ground.hosts.items()}
        self.executions = {name: self._execution_link(name, reach.channel) for name, reach in ground.hosts.items()}
        posts = {name: link.post for name, link in self.executions.items()}
        self._dispatcher = Dispatcher(posts, self.evaluator, self.engine.note)

    def dispatch(self, command: Command) -> None:
        """Hands a command of a stored decision to the part that carries it out."""
        self._dispatcher.send(command)

    def ongoing(self, run: str) -> Run | None:
        """Returns a run that is at work."""
        ongoing = self.engine.state.ongoing.get(run)
        return ongoing.run if ongoing is not None else None

    def is_live(self, attempt: str) -> bool:
        """Tells whether the engine counts on an attempt."""
        return any(attempt in one.tracks for one in self.engine.state.ongoing.values())

    def count_running(self, host: str) -> int:
        """Counts the attempts that are live on a host."""
        ongoing = self.engine.state.ongoing.values()
        return sum(track.host == host for one in ongoing for track in one.tracks.values())

    def _host_link(self, name: str, reach: Reach) -> HostLink:
        return HostLink(
            HostView(name, reach.address),
            reach.channel,
            self.engine.note,
            now=self._ground.clock.now,
            silence_seconds=self._ground.silence_seconds,
            attached=partial(self._compare, name),
            explain=partial(self._ground.explain, name, reach.address) if self._ground.explain else None,
        )

    def _execution_link(self, name: str, channel: grpc.aio.Channel) -> ExecutionLink:
        store = self._ground.store
        return ExecutionLink(
            name,
            channel,
            identity=Identity(store.conductor_id, store.epoch, store.is_newest),
            inbox=self.engine,
            sources=Sources(store.blob, SnapshotLink(channel, self._ground.snapshots, store.conductor_id).ensure),
            is_live=self.is_live,
            disable=self.hosts[name].disable,
        )

    def _compare(self, host: str) -> None:
        self.executions[host].compare()
