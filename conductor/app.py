"""Makes the parts, joins them, runs them and stops them: the only place that does.

The order at start: the database (whose lock tells two conductors apart), the state that it holds, the parts, the tasks, and
last the server. A host that is down delays nothing. The order at the end, on SIGTERM or SIGINT: health says NOT_SERVING and new
calls are refused; streams end, other calls get a little time; links let go of their hosts, whose agents go on; the engine
stores what waits; the database closes. A failure in any part ends the process: recovery is the same path as a start.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Protocol

import grpc
import structlog

from conductor.api.flow_servicer import FlowServicer
from conductor.api.pool_servicer import PoolServicer
from conductor.api.run_changing import RunChanging
from conductor.api.run_creation import Pinning, RunCreation
from conductor.api.run_servicer import RunServicer
from conductor.api.server_servicer import ServerFacts, ServerServicer
from conductor.clock import SystemClock
from conductor.config import SNAPSHOTS_FOLDER, HostSetting, Settings
from conductor.core.decide.advance import advance
from conductor.core.decide.loss import count_of_earlier_instances
from conductor.core.decide.recover import recover
from conductor.core.model.commands import Command
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.model.run import Run
from conductor.engine.dispatcher import Dispatcher
from conductor.engine.loop import Engine
from conductor.engine.recovery import read_state, read_time
from conductor.errors import ConfigurationError
from conductor.evaluation.evaluator import Evaluator
from conductor.flows.library.catalogue import Catalogue
from conductor.flows.library.layers import folders
from conductor.hosts.attempt_stream import Identity, Sources
from conductor.hosts.executions import ExecutionLink
from conductor.hosts.host_view import HostView
from conductor.hosts.liveness import HostLink
from conductor.hosts.snapshots import SnapshotLink
from conductor.maintenance.compaction import Compaction
from conductor.maintenance.retention import Retention
from conductor.snapshots import SnapshotStore
from conductor.snapshots.roots import WorkspaceRoots
from conductor.store.sqlite.store import Store
from conductor.v1 import flow_service_pb2_grpc, pool_service_pb2_grpc, run_service_pb2_grpc, server_service_pb2_grpc
from servicekit.addresses import AddressInUseError, refuse_taken
from servicekit.channels import open_channel
from servicekit.logs import configure_logs
from servicekit.server import Registration, Server
from servicekit.statuses import find_rich

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Serves until the process is told to stop; gives the exit code."""
    configure_logs(settings.log_format, settings.log_level)

    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with serving(settings) as conductor:
            await conductor.serve(stop)

    try:
        asyncio.run(until_told())
    except BaseExceptionGroup as error:
        known = find_rich(error)
        if known is None:
            raise
        raise known from error
    return 0


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator["Conductor"]:
    """Opens what outlives the process, and closes it at the end."""
    if not settings.data.exists():  # a folder is not made for a conductor that cannot begin
        with _telling_of_taken():
            refuse_taken(settings.listen)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(await Store.open(settings.data))
        roots = WorkspaceRoots(settings.roots)
        snapshots = await SnapshotStore.open(settings.data / SNAPSHOTS_FOLDER, roots)
        await snapshots.sweep(store.known_runs)
        clock = await read_time(store)
        limits = Limits(unfinished_runs=settings.limits.unfinished_runs, lost_after=settings.clocks.lost_after_seconds)
        state = await read_state(store, clock.now(), limits)
        channels = {host.name: open_channel(host.target, many_streams=True) for host in settings.hosts}
        for channel in channels.values():
            stack.push_async_callback(channel.close)
        yield Conductor(settings, Opened(store, snapshots, roots, clock, channels), state)


@contextlib.contextmanager
def _telling_of_taken() -> Iterator[None]:
    try:
        yield
    except AddressInUseError as error:
        raise ConfigurationError(str(error), hint="conductor serve --listen ADDRESS takes another") from error


class Part(Protocol):
    """What works until it is cancelled."""

    async def run(self) -> None:
        """Works."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened, and is closed by whoever opened it."""

    store: Store
    snapshots: SnapshotStore
    roots: WorkspaceRoots
    clock: SystemClock
    channels: dict[str, grpc.aio.Channel]


class Conductor:
    """All parts, joined."""

    def __init__(self, settings: Settings, opened: Opened, state: ConductorState) -> None:
        self._settings = settings
        self._opened = opened
        self._engine: Engine[ConductorState] = Engine(
            advance, state, opened.store, self._dispatch, opened.clock, recovered=recover(state)
        )
        self._evaluator = Evaluator(opened.store, opened.snapshots, self._engine.note, self._ongoing)
        self._retention = Retention(
            opened.store,
            opened.snapshots,
            settings.retention,
            opened.clock,
            lambda run: run in self._engine.state.ongoing,
        )
        self._hosts = {host.name: self._host_link(host) for host in settings.hosts}
        self._executions = {host.name: self._execution_link(host) for host in settings.hosts}
        self._dispatcher = Dispatcher(self._executions, self._evaluator, self._engine.note)
        self.target = settings.listen.target

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then stops in order."""
        async with asyncio.TaskGroup() as tasks:
            engine = tasks.create_task(self._engine.run())
            parts: tuple[Part, ...] = (
                self._evaluator,
                self._retention,
                Compaction(self._opened.store, self._opened.clock),
                *self._hosts.values(),
                *self._executions.values(),
            )
            running = [tasks.create_task(part.run()) for part in parts]
            server = await self._start_server()
            try:
                await stop.wait()
                _log.info("service_stopping")
            finally:
                await server.stop(self._settings.limits.stop_seconds)
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            self._engine.stop()
            await engine
        _log.info("service_stopped")

    async def _start_server(self) -> Server:
        with _telling_of_taken():
            server = await Server.start(self._settings.listen, self._registrations(), service="conductor")
        self.target = server.target
        _log.info("service_started", address=server.target, epoch=self._opened.store.epoch, hosts=sorted(self._hosts))
        if not self._hosts:
            _log.warning("no_hosts", hint="no agent can run; name a host:  conductor serve --host NAME=ADDRESS")
        return server

    def _registrations(self) -> list[Registration]:
        opened, settings = self._opened, self._settings
        catalogue = Catalogue(folders(settings.project, os.environ), self._evaluator)
        pinning = Pinning(catalogue, self._evaluator, opened.snapshots, opened.roots)
        creation = RunCreation(opened.store, self._engine, pinning, opened.clock, settings)
        lost_after = settings.clocks.lost_after_seconds
        pool = PoolServicer(
            self._hosts,
            self._count_running,
            lambda: opened.clock.now() - lost_after,
            lambda host: count_of_earlier_instances(self._engine.state, host),
        )
        changing = RunChanging(creation, self._engine, self._retention)
        progress_seconds = settings.limits.progress_seconds
        runs = RunServicer(
            opened.store, self._engine, changing, progress_seconds=progress_seconds, now=opened.clock.now
        )
        server = ServerServicer(self._facts(), lambda: self.target, lambda: len(self._engine.state.ongoing))
        return [
            (run_service_pb2_grpc.add_RunServiceServicer_to_server, runs),
            (flow_service_pb2_grpc.add_FlowServiceServicer_to_server, FlowServicer(catalogue)),
            (pool_service_pb2_grpc.add_PoolServiceServicer_to_server, pool),
            (server_service_pb2_grpc.add_ServerServiceServicer_to_server, server),
        ]

    def _facts(self) -> ServerFacts:
        store = self._opened.store
        return ServerFacts(
            version=version("conductor-agenthost"),
            conductor_id=store.conductor_id,
            epoch=store.epoch,
            start_time=self._opened.clock.now(),
            settings=self._settings.shown(),
        )

    def _host_link(self, host: HostSetting) -> HostLink:
        return HostLink(
            HostView(host.name, host.target),
            self._opened.channels[host.name],
            self._engine.note,
            now=self._opened.clock.now,
            silence_seconds=self._settings.limits.silence_seconds,
            attached=partial(self._compare, host.name),
        )

    def _execution_link(self, host: HostSetting) -> ExecutionLink:
        channel, store = self._opened.channels[host.name], self._opened.store
        return ExecutionLink(
            host.name,
            channel,
            identity=Identity(store.conductor_id, store.epoch),
            inbox=self._engine,
            sources=Sources(store.blob, SnapshotLink(channel, self._opened.snapshots).ensure),
            is_live=self._is_live,
            condemn=self._hosts[host.name].condemn,
        )

    def _dispatch(self, command: Command) -> None:
        self._dispatcher.send(command)

    def _compare(self, host: str) -> None:
        self._executions[host].compare()

    def _ongoing(self, run: str) -> Run | None:
        ongoing = self._engine.state.ongoing.get(run)
        return ongoing.run if ongoing is not None else None

    def _is_live(self, attempt: str) -> bool:
        return any(attempt in one.tracks for one in self._engine.state.ongoing.values())

    def _count_running(self, host: str) -> int:
        ongoing = self._engine.state.ongoing.values()
        return sum(track.host == host for one in ongoing for track in one.tracks.values())
