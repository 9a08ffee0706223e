"""The ring, joined: engine and dispatcher, and for each host the links of its liveness, its executions and its snapshots.

It opens nothing and stops nothing: `app` supplies a store, a clock, channels and an evaluator, and runs its parts. The simulation
supplies others and runs the same parts (tests/simulation).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import grpc
import structlog

from conductor.clock import Clock
from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover, recover_host
from conductor.core.folded.run import Run
from conductor.core.model.commands import CloseHost, Command, KeepQuiet, OpenHost
from conductor.core.model.conductor_state import ConductorState
from conductor.engine.dispatcher import Dispatcher, Evaluator
from conductor.engine.inbox import Note
from conductor.engine.loop import Advance, Engine
from conductor.engine.stored import Observer
from conductor.hosts.attempt_stream import Sources
from conductor.hosts.executions import ExecutionLink
from conductor.hosts.host_view import HostView
from conductor.hosts.identity import Identity
from conductor.hosts.links import HostLinks, Link
from conductor.hosts.liveness import HostLink
from conductor.hosts.snapshots import SnapshotLink
from conductor.snapshots import SnapshotStore
from conductor.store.port import Store

_log = structlog.get_logger(__name__)


# Opens a channel to the host of that name at an address. Not before it is needed: a host may come while the conductor runs.
OpenChannel = Callable[[str, str], grpc.aio.Channel]


@dataclass(frozen=True, slots=True)
class Ground:
    """The parts that the ring stands on; the caller opens and closes them. The links close the channels that they open."""

    store: Store
    clock: Clock
    snapshots: SnapshotStore
    open_channel: OpenChannel
    silence_seconds: float
    # Finds the cause of a failed connection to a host, from its name and address.
    explain: Callable[[str, str], Awaitable[str]] | None = None
    # Says whether this conductor holds the lease at this moment.
    may_send: Callable[[], bool] = lambda: True


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
        self.links = HostLinks(self._make_link)
        self._dispatcher = Dispatcher(self.links.posts, self.evaluator)
        for entry in state.registry.values():
            self.links.open(entry.name, entry.address)

    @property
    def hosts(self) -> Mapping[str, HostLink]:
        """The liveness of each host that is driven, by name."""
        return self.links.hosts

    @property
    def executions(self) -> Mapping[str, ExecutionLink]:
        """The executions of each host that is driven, by name."""
        return self.links.executions

    def dispatch(self, command: Command) -> None:
        """Hands a command of a stored decision to the part that carries it out."""
        match command:
            case OpenHost():
                _log.info("host_added", host=command.host, address=command.address)
                self.links.open(command.host, command.address)
                for owed in recover_host(self.engine.state, command.host):
                    self._dispatcher.send(owed)
            case CloseHost():
                _log.info("host_removed", host=command.host)
                self.links.close(command.host)
            case KeepQuiet():
                if (link := self.hosts.get(command.host)) is not None:
                    link.keep_quiet(command.pool, command.seconds)
            case _:
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

    def _make_link(self, name: str, address: str) -> Link:
        def compare() -> None:
            executions.compare()

        channel = self._ground.open_channel(name, address)
        host = HostLink(
            HostView(name, address),
            channel,
            self.engine.note,
            now=self._ground.clock.now,
            silence_seconds=self._ground.silence_seconds,
            attached=compare,
            explain=partial(self._ground.explain, name, address) if self._ground.explain else None,
        )
        store = self._ground.store
        executions = ExecutionLink(
            name,
            channel,
            identity=Identity(store.conductor_id, store.epoch, store.is_newest, self._ground.may_send),
            inbox=self.engine,
            sources=Sources(store.blob, SnapshotLink(channel, self._ground.snapshots, store.conductor_id).ensure),
            is_live=self.is_live,
            disable=host.disable,
        )
        return Link(channel, host, executions)
