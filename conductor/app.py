"""Makes the parts, joins them, runs them and stops them; no other module does.

The order at start: the database (whose lock keeps a second conductor out), the state that it holds, the parts, the tasks, and
last the server. A host that is down delays nothing. The order at the end, on SIGTERM or SIGINT: health says NOT_SERVING and new
calls are refused; streams end, other calls get a little time; links let go of their hosts, whose agents go on; the engine stores
the inputs that wait; the database closes. A failure in any part ends the process: recovery is the same path as a start.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial

import structlog

from conductor.api.access.admission import Admission, loopback_callers, socket_callers
from conductor.api.access.token_book import TokenBook
from conductor.api.presence import PresenceKeeper, StoredHosts, SwitchedHosts
from conductor.blobs.folder import FolderBlobs
from conductor.blobs.opening import DATABASE, open_blobs
from conductor.blobs.own import OwnBlobs
from conductor.blobs.port import BlobStore
from conductor.clock import SystemClock, read_clocks
from conductor.config import FETCHED_FOLDER, PUSHED_FOLDER, SNAPSHOTS_FOLDER, Settings
from conductor.core.access.roles import is_read
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.engine.recovery import read_shared_time, read_state, read_time
from conductor.engine.seat import Seat
from conductor.errors import ConfigurationError, NotActiveError
from conductor.evaluation.evaluator import Evaluator
from conductor.evaluation.workers.pool import NewWorker, Worker
from conductor.hosts.channels import HostChannels
from conductor.leading import Lead, SharedLead, SoleLead
from conductor.lease.following import Following
from conductor.lease.holder import read_holder
from conductor.lease.holding import Holding
from conductor.maintenance.compaction import Compaction
from conductor.maintenance.pushed import PushedRetention
from conductor.maintenance.retention import Retention
from conductor.registrations import Joined, Opened, make_registrations, make_view
from conductor.ring import Ground
from conductor.snapshots import SnapshotStore
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.snapshots.roots import WorkspaceRoots
from conductor.store.away import open_when_there
from conductor.store.port import Store
from conductor.store.shared import Claim, SharedStore
from conductor.store.sqlite.folder import DATABASE_NAME, LockedFolder
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.upkeep.identity import read_unused_identity
from conductor.telemetry.parts import Telemetry, make_telemetry
from conductor.telemetry.sources import Sources, Standing
from conductor.tenure import Part, Tenure
from servicekit.addresses import Address, AddressError, refuse_taken
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
        stop, seconds = asyncio.Event(), settings.limits.start_seconds
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        opening = partial(_open_store, settings)
        async with serving(settings, open_store=lambda _: open_when_there(opening, stop, seconds)) as conductor:
            await conductor.serve(stop)

    try:
        asyncio.run(until_told())
    except BaseExceptionGroup as error:
        known = find_rich(error)
        if known is None:
            raise
        raise known from error
    return 0


# Opens the store that the settings name; the caller closes it.
OpenStore = Callable[[Settings], Awaitable[Store]]


async def _open_store(settings: Settings) -> Store:
    return await _open_shared(settings) if settings.store else await SqliteStore.open(settings.data)


async def _open_shared(settings: Settings) -> Store:
    try:
        # An extra, and a conductor on SQLite is leaner.
        from conductor.store.postgresql.sharing.store import SharedPostgresqlStore  # noqa: PLC0415
    except ImportError as error:
        text = f"store: the driver of PostgreSQL cannot be loaded: {error}"
        raise ConfigurationError(text, hint="pip install 'conductor-agenthost[postgresql]'") from error
    # The id that the certificates of this folder name.
    return await SharedPostgresqlStore.open_shared(settings.store, read_unused_identity(settings.data))


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, new_worker: NewWorker = Worker, open_store: OpenStore = _open_store
) -> AsyncIterator["Conductor"]:
    """Opens what outlives the process, and closes it at the end."""
    settings.tls.check()
    if not settings.data.exists():  # no folder is made for a conductor that cannot start
        with _telling_of_taken():
            refuse_taken(settings.listen)
    async with AsyncExitStack() as stack:
        if settings.store:  # SQLite locks the folder itself
            stack.callback(LockedFolder.acquire(settings.data).release)
        store = await open_store(settings)
        stack.push_async_callback(store.close)
        roots = WorkspaceRoots(settings.roots, may_lack=bool(settings.store))
        blobs = _open_blobs(settings, store)
        if blobs is not None:
            stack.push_async_callback(blobs.close)
        snapshots = await SnapshotStore.open(
            settings.data / SNAPSHOTS_FOLDER,
            roots,
            blobs=blobs,
            epoch=lambda: store.epoch,
            cache_bytes=settings.limits.snapshots_bytes,
        )
        await snapshots.sweep(store.known_runs)
        fetching = await Fetching.open(settings.data / FETCHED_FOLDER, snapshots, settings.fetch)
        shared = store if isinstance(store, SharedStore) else None
        clock = SystemClock(await read_shared_time(shared, is_kept=False)) if shared else await read_time(store)
        tokens = await TokenBook.load(store, clock)
        state = None if shared else await read_state(store, clock.now(), _limits(settings), _configured(settings))
        host_channels = _host_channels(settings, store.conductor_id)
        opened = Opened(store, snapshots, fetching, roots, clock, host_channels, tokens)
        yield Conductor(settings, opened, state, new_worker)


def _open_blobs(settings: Settings, store: Store) -> BlobStore | None:
    """Opens where the copies of snapshots lie. Those of conductors that share a database lie in it, where nothing else is set."""
    if not isinstance(store, SharedStore):
        return OwnBlobs(open_blobs(settings.blobs), store.conductor_id) if settings.blobs else None
    if settings.blobs in ("", DATABASE):
        return store.open_blobs()
    blobs = open_blobs(settings.blobs)
    if isinstance(blobs, FolderBlobs) and not settings.shared_data:
        text = f"blobs: the folder {settings.blobs} serves one machine, and a standby on another could not take over"
        hint = "leave --blobs out, for copies in the database, or say with --shared-data that every machine has this folder"
        raise ConfigurationError(text, hint=hint)
    return OwnBlobs(blobs, store.conductor_id)


def _configured(settings: Settings) -> dict[str, str]:
    return {host.name: host.address for host in settings.hosts}


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


def _reached_at(address: Address) -> str:
    """Returns where callers reach this conductor: one that listens on every interface names its machine."""
    return f"{socket.gethostname()}:{address.text.rpartition(':')[2]}" if address.is_wildcard else address.text


def _limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        unfinished_runs=limits.unfinished_runs,
        attempts=limits.attempts_at_once,
        attempts_per_run=limits.attempts_per_run,
        hosts=limits.hosts,
        lost_after=settings.clocks.lost_after_seconds,
    )


# Readers of the page of metrics need the role of its callers.
READERS_METHOD = "/conductor.v1.ServerService/GetServerInfo"


class Conductor:
    """All parts, joined. `state` is what recovery read; None where other conductors share the store."""

    def __init__(
        self, settings: Settings, opened: Opened, state: ConductorState | None, new_worker: NewWorker = Worker
    ) -> None:
        self._settings = settings
        self._opened = opened
        self._seat = Seat(self._refusal, lambda: self._lead.state)
        self._view = make_view(settings, opened, self._seat, lambda: self._lead.links)
        self.telemetry = self._make_telemetry()
        self._evaluator = Evaluator(
            opened.store,
            opened.snapshots,
            self._seat.note,
            self._seat.run,
            new_worker,
            clocks=settings.clocks,
        )
        self._pushed = PushedSnapshots(settings.data / PUSHED_FOLDER, settings.pushes)
        self._retention = Retention(
            opened.store,
            opened.snapshots,
            settings.retention,
            opened.clock,
            lambda run: run in self._seat.state.ongoing,
        )
        self._lead = self._make_lead(state)
        self.address = settings.listen.text

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then stops in order."""
        async with asyncio.TaskGroup() as tasks:
            parts: tuple[Part, ...] = (
                self._evaluator,
                PushedRetention(self._pushed, self._opened.clock),
                MemoryReturn(),
                self._opened.host_channels,
                *self.telemetry.parts,
            )
            running = [tasks.create_task(part.run()) for part in parts]
            leading = tasks.create_task(self._lead.run())
            await self._lead.begun()
            server = await self._start_server()
            try:
                await stop.wait()
                _log.info("service_stopping")
                await self._lead.leave()
            finally:
                await server.stop(self._settings.limits.stop_seconds)
            self._lead.end()
            await leading
            for task in running:
                task.cancel()
            await asyncio.wait(running)
        _log.info("service_stopped")

    def _make_lead(self, state: ConductorState | None) -> Lead:
        store, settings = self._opened.store, self._settings
        if state is not None:
            return SoleLead(self._make_tenure(state), store.epoch)
        assert isinstance(store, SharedStore)  # noqa: S101 - `serving` reads no state of such a store
        is_standby, refresh = lambda: self._seat.engine is None, self._opened.tokens.reload
        following = Following(store, is_standby, refresh, limits=_limits(settings), configured=_configured(settings))
        claim = Claim(
            read_holder(settings.data, read_clocks().boot), settings.limits.lease_seconds, settings.listen.text
        )
        return SharedLead(store, self._opened, claim, self._seat, following=following, make_tenure=self._make_tenure)

    def _make_tenure(self, state: ConductorState, may_send: Callable[[], bool] = lambda: True) -> Tenure:
        opened, channels = self._opened, self._opened.host_channels
        ground = Ground(
            opened.store,
            opened.clock,
            opened.snapshots,
            channels.open,
            self._settings.limits.silence_seconds,
            channels.explain,
            may_send,
        )
        upkeep: list[Part] = [self._retention, Compaction(opened.store, opened.clock), opened.tokens]
        if isinstance(opened.store, SharedStore):
            upkeep += (PresenceKeeper(opened.store, self._view), Holding(opened.store))
        return Tenure(ground, state, self._seat, self._evaluator, upkeep=upkeep, observers=self.telemetry.parts)

    async def _start_server(self) -> Server:
        with _telling_of_taken():
            server = await self._serve()
        self.address = server.address.text
        self._lead.listen(_reached_at(server.address))
        _log.info(
            "service_started",
            address=self.address,
            epoch=self._opened.store.epoch,
            hosts=sorted(self._lead.links),
            role="active" if self._lead.role().is_active else "standby",
        )
        if not self._lead.links and not isinstance(self._opened.store, SharedStore):
            _log.warning("no_hosts", hint="no agent can run; add a host:  conductor hosts add NAME ADDRESS")
        return server

    async def _serve(self) -> Server:
        settings, tokens, now = self._settings, self._opened.tokens, self._opened.clock.now
        start = partial(Server.start, settings.listen, self._registrations(), service="conductor")
        if settings.tls.serving is not None and settings.tls.serves(settings.listen):
            from conductor.api.access.door import open_door  # noqa: PLC0415 (as in _host_channels)

            door = open_door(settings.tls.serving, settings.data, conductor_id=self._opened.store.conductor_id)
            return await start(admit=Admission(tokens, door.known, now, door.address_of, self._refuse), tls=door.front)
        without_token = (
            socket_callers if settings.listen.socket else loopback_callers(tokens, settings.access.loopback_role)
        )
        return await start(admit=Admission(tokens, without_token, now, refuse=self._refuse))

    def _standing(self) -> Standing:
        return self._lead.standing()

    def _refusal(self) -> NotActiveError:
        return self._lead.refusal()

    def _refuse(self, method: str) -> None:
        """Refuses on a standby what is no read."""
        if self._seat.engine is None and not is_read(method):
            raise self._refusal()

    def _registrations(self) -> list[Registration]:
        joined = Joined(
            self._seat,
            self._evaluator,
            self._retention,
            self._pushed,
            links=lambda: self._lead.links,
            hosts=SwitchedHosts(
                lambda: self._seat.engine is None, self._view, StoredHosts(lambda: self._lead.presence)
            ),
            role=self._lead.role,
            hand_over=self._lead.hand_over,
            address=lambda: self.address,
            is_traced=self.telemetry.traces is not None,
        )
        return make_registrations(self._settings, self._opened, joined)

    def _make_telemetry(self) -> Telemetry:
        settings, opened = self._settings, self._opened
        sources = Sources(
            state=lambda: self._seat.state,
            now=opened.clock.now,
            hosts=lambda: [link.view for link in list(self._lead.links.values())],
            watchers=lambda: opened.store.watcher_count,
            database=settings.data / DATABASE_NAME,
            version=release_number(),
            role=self._standing,
        )
        return make_telemetry(
            settings,
            opened.store,
            sources,
            lambda known: partial(Admission(opened.tokens, known, opened.clock.now), READERS_METHOD),
        )
