"""Makes the parts, joins them, runs them and stops them; no other module does.

The order at start: the database (whose lock keeps a second conductor out), the state that it holds, the parts, the tasks, and
last the server. A host that is down delays nothing. The order at the end, on SIGTERM or SIGINT: health says NOT_SERVING and new
calls are refused; streams end, other calls get a little time; links let go of their hosts, whose agents go on; the engine stores
the inputs that wait; the database closes. A failure in any part ends the process: recovery is the same path as a start.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from conductor.api.access.admission import Admission, loopback_callers, socket_callers
from conductor.api.access.certificate_book import CertificateBook
from conductor.api.access.token_book import TokenBook
from conductor.api.access_servicer import AccessServicer
from conductor.api.flow_servicer import FlowServicer
from conductor.api.gate_servicer import GateServicer
from conductor.api.launching.planning import RunPlanning
from conductor.api.launching.retry import RunRetry
from conductor.api.pool_servicer import PoolServicer, PoolView
from conductor.api.reading.gate_reading import GateReading
from conductor.api.run_creation import Pinning, RunCreation
from conductor.api.run_servicer import Launching, RunServicer
from conductor.api.server_servicer import ServerFacts, ServerRole, ServerServicer
from conductor.api.workspace_servicer import WorkspaceServicer
from conductor.clock import SystemClock
from conductor.config import FETCHED_FOLDER, PUSHED_FOLDER, SNAPSHOTS_FOLDER, Settings
from conductor.core.decide.endings.loss import count_of_earlier_instances
from conductor.core.folded.run import Run
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.placing.standing import count_queued, list_uses
from conductor.engine.inbox import Note
from conductor.engine.recovery import read_state, read_time
from conductor.errors import ConfigurationError
from conductor.evaluation.evaluator import Evaluator
from conductor.evaluation.workers.pool import NewWorker, Worker
from conductor.flows.library.catalogue import Catalogue
from conductor.flows.library.layers import folders
from conductor.hosts.channels import HostChannels
from conductor.maintenance.compaction import Compaction
from conductor.maintenance.pushed import PushedRetention
from conductor.maintenance.retention import Retention
from conductor.ring import Ground, Ring
from conductor.snapshots import SnapshotStore
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.snapshots.roots import WorkspaceRoots
from conductor.store.port import Store
from conductor.store.sqlite.folder import DATABASE_NAME
from conductor.store.sqlite.store import SqliteStore
from conductor.telemetry.parts import Telemetry, make_telemetry
from conductor.telemetry.sources import Sources
from conductor.v1 import (
    access_service_pb2_grpc,
    flow_service_pb2_grpc,
    gate_service_pb2_grpc,
    pool_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
    workspace_service_pb2_grpc,
)
from servicekit.addresses import AddressError, refuse_taken
from servicekit.logs import configure_logs
from servicekit.release import release_number
from servicekit.runtime.memory import MemoryReturn, limit_arenas
from servicekit.server import Registration, Server
from servicekit.statuses import find_rich
from servicekit.tls.files import TlsFolder
from servicekit.tls.identity import Kind

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Serves until the process is told to stop; returns the exit code."""
    limit_arenas()
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
async def serving(settings: Settings, new_worker: NewWorker = Worker) -> AsyncIterator["Conductor"]:
    """Opens what outlives the process, and closes it at the end."""
    settings.tls.check()
    if not settings.data.exists():  # no folder is made for a conductor that cannot start
        with _telling_of_taken():
            refuse_taken(settings.listen)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(await SqliteStore.open(settings.data))
        roots = WorkspaceRoots(settings.roots)
        snapshots = await SnapshotStore.open(settings.data / SNAPSHOTS_FOLDER, roots)
        await snapshots.sweep(store.known_runs)
        fetching = await Fetching.open(settings.data / FETCHED_FOLDER, snapshots, settings.fetch)
        clock = await read_time(store)
        tokens = await TokenBook.load(store, clock)
        configured = {host.name: host.address for host in settings.hosts}
        state = await read_state(store, clock.now(), _limits(settings), configured)
        host_channels = _host_channels(settings, store.conductor_id)
        opened = Opened(store, snapshots, fetching, roots, clock, host_channels, tokens)
        yield Conductor(settings, opened, state, new_worker)


def _host_channels(settings: Settings, conductor_id: str) -> HostChannels:
    tls = settings.tls
    if tls.calling is None:
        return HostChannels()
    # A conductor without TLS does not load the library that reads certificates.
    from conductor.hosts.renewal import Renewal  # noqa: PLC0415
    from conductor.hosts.revocations import RevocationExchange  # noqa: PLC0415
    from conductor.maintenance.certificates.attendance import Attendance  # noqa: PLC0415
    from servicekit.tls.certificates import CALLING  # noqa: PLC0415
    from servicekit.tls.credentials import WatchedFiles, require_own  # noqa: PLC0415
    from servicekit.tls.revocations import RevocationFile  # noqa: PLC0415

    watched = WatchedFiles(tls.calling)
    require_own(watched, Kind.CONDUCTOR, conductor_id, CALLING)
    file = RevocationFile(TlsFolder.of(settings.data).revoked, tls.calling.ca)
    exchange = RevocationExchange(watched.identity.pool, file)
    attendance = Attendance(settings.data, conductor_id)
    if not attendance.has_authority:
        return HostChannels(watched, exchange)
    return HostChannels(watched, exchange, Renewal(attendance.renew_own, attendance.sign))


@contextlib.contextmanager
def _telling_of_taken() -> Iterator[None]:
    try:
        yield
    except AddressError as error:
        raise ConfigurationError(str(error), hint="give another address:  conductor serve --listen ADDRESS") from error


def _limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        unfinished_runs=limits.unfinished_runs,
        attempts=limits.attempts_at_once,
        attempts_per_run=limits.attempts_per_run,
        hosts=limits.hosts,
        lost_after=settings.clocks.lost_after_seconds,
    )


class Part(Protocol):
    """A part that works until it is cancelled."""

    async def run(self) -> None:
        """Works."""


# Readers of the page of metrics need the role of its callers.
READERS_METHOD = "/conductor.v1.ServerService/GetServerInfo"


@dataclass(frozen=True, slots=True)
class Opened:
    """The opened parts, which `serving` closes."""

    store: Store
    snapshots: SnapshotStore
    fetching: Fetching
    roots: WorkspaceRoots
    clock: SystemClock
    host_channels: HostChannels
    tokens: TokenBook


class Conductor:
    """All parts, joined."""

    def __init__(
        self, settings: Settings, opened: Opened, state: ConductorState, new_worker: NewWorker = Worker
    ) -> None:
        self._settings = settings
        self._opened = opened
        self._new_worker = new_worker
        channels = opened.host_channels
        ground = Ground(
            opened.store,
            opened.clock,
            opened.snapshots,
            channels.open,
            settings.limits.silence_seconds,
            channels.explain,
        )
        self.telemetry = self._make_telemetry()
        self._ring = Ring(ground, state, self._make_evaluator, observers=self.telemetry.parts)
        self._engine = self._ring.engine
        self._pushed = PushedSnapshots(settings.data / PUSHED_FOLDER, settings.pushes)
        self._retention = Retention(
            opened.store,
            opened.snapshots,
            settings.retention,
            opened.clock,
            lambda run: run in self._engine.state.ongoing,
        )
        self.address = settings.listen.text

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then stops in order."""
        async with asyncio.TaskGroup() as tasks:
            engine = tasks.create_task(self._engine.run())
            parts: tuple[Part, ...] = (
                self._evaluator,
                self._retention,
                PushedRetention(self._pushed, self._opened.clock),
                Compaction(self._opened.store, self._opened.clock),
                MemoryReturn(),
                self._opened.host_channels,
                self._opened.tokens,
                self._ring.links,
                *self.telemetry.parts,
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
            server = await self._serve()
        self.address = server.address.text
        _log.info(
            "service_started", address=self.address, epoch=self._opened.store.epoch, hosts=sorted(self._ring.hosts)
        )
        if not self._ring.hosts:
            _log.warning("no_hosts", hint="no agent can run; add a host:  conductor hosts add NAME ADDRESS")
        return server

    async def _serve(self) -> Server:
        settings, tokens, now = self._settings, self._opened.tokens, self._opened.clock.now
        start = partial(Server.start, settings.listen, self._registrations(), service="conductor")
        if settings.tls.serving is not None and settings.tls.serves(settings.listen):
            from conductor.api.access.door import open_door  # noqa: PLC0415 (as in _host_channels)

            door = open_door(settings.tls.serving, settings.data, conductor_id=self._opened.store.conductor_id)
            return await start(admit=Admission(tokens, door.known, now, door.address_of), tls=door.front)
        without_token = (
            socket_callers if settings.listen.socket else loopback_callers(tokens, settings.access.loopback_role)
        )
        return await start(admit=Admission(tokens, without_token, now))

    def _registrations(self) -> list[Registration]:
        opened, settings = self._opened, self._settings
        catalogue = Catalogue(folders(settings.project, os.environ), self._evaluator)
        pinning = Pinning(catalogue, self._evaluator, opened.snapshots, opened.roots, self._pushed, opened.fetching)
        is_traced = self.telemetry.traces is not None
        creation = RunCreation(opened.store, self._engine, pinning, opened.clock, settings, is_traced=is_traced)
        launching = Launching(
            creation,
            RunPlanning(self._engine, creation, self._evaluator, self._ring.hosts, opened.clock),
            RunRetry(opened.store, creation, opened.clock),
        )
        lost_after = settings.clocks.lost_after_seconds
        view = PoolView(
            self._ring.hosts,
            lambda: self._engine.state.registry,
            self._ring.count_running,
            lambda: opened.clock.now() - lost_after,
            lambda host: count_of_earlier_instances(self._engine.state, host),
            lambda: list_uses(self._engine.state, opened.clock.now()),
            lambda: count_queued(self._engine.state),
        )
        progress_seconds = settings.limits.progress_seconds
        runs = RunServicer(
            opened.store,
            self._engine,
            launching,
            self._retention,
            evaluator=self._evaluator,
            progress_seconds=progress_seconds,
            now=opened.clock.now,
        )
        gates = GateServicer(
            self._engine,
            GateReading(opened.store, lambda: self._engine.state.ongoing),
            self._evaluator.judge_edit,
        )
        server = ServerServicer(
            self._facts(), self._role, lambda: self.address, lambda: len(self._engine.state.ongoing)
        )
        return [
            (run_service_pb2_grpc.add_RunServiceServicer_to_server, runs),
            (gate_service_pb2_grpc.add_GateServiceServicer_to_server, gates),
            (flow_service_pb2_grpc.add_FlowServiceServicer_to_server, FlowServicer(catalogue)),
            (workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server, WorkspaceServicer(self._pushed)),
            (
                pool_service_pb2_grpc.add_PoolServiceServicer_to_server,
                PoolServicer(view, self._engine, has_tls=settings.tls.calling is not None),
            ),
            (server_service_pb2_grpc.add_ServerServiceServicer_to_server, server),
            (
                access_service_pb2_grpc.add_AccessServiceServicer_to_server,
                AccessServicer(opened.tokens, self._certificates()),
            ),
        ]

    def _certificates(self) -> CertificateBook:
        serving = self._settings.tls.serving
        return CertificateBook(self._settings.data, serving.ca if serving else None)

    def _facts(self) -> ServerFacts:
        store = self._opened.store
        return ServerFacts(
            version=release_number(),
            conductor_id=store.conductor_id,
            start_time=self._opened.clock.now(),
            settings=self._settings.shown(),
            store="sqlite",
        )

    def _role(self) -> ServerRole:
        return ServerRole(is_active=True, epoch=self._opened.store.epoch, active_address=self.address)

    def _make_telemetry(self) -> Telemetry:
        settings, opened = self._settings, self._opened
        sources = Sources(
            state=lambda: self._engine.state,
            now=opened.clock.now,
            hosts=lambda: [link.view for link in list(self._ring.hosts.values())],
            watchers=lambda: opened.store.watcher_count,
            database=settings.data / DATABASE_NAME,
            version=release_number(),
        )
        return make_telemetry(
            settings,
            opened.store,
            sources,
            lambda known: partial(Admission(opened.tokens, known, opened.clock.now), READERS_METHOD),
        )

    def _make_evaluator(self, note: Callable[[Note], None], ongoing: Callable[[str], Run | None]) -> Evaluator:
        opened = self._opened
        self._evaluator = Evaluator(
            opened.store, opened.snapshots, note, ongoing, self._new_worker, clocks=self._settings.clocks
        )
        return self._evaluator
