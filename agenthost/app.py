"""Puts a host together, serves it, and takes it apart again.

Stopping has phases:

1. new work is refused, health says so, and all watchers are told;
2. each attempt that is being begun has begun or is refused; running ones are left to their shims, or ended where that was asked for
   (below), and attached conductors learn the end;
3. the server takes no more calls: streams end with SHUTTING_DOWN, which conductors take as "away, come back";
4. shims and files are closed. The gateway to the models lives on with the agents, and goes with the last of them.

SIGTERM is a restart: agents go on, and the next daemon of the same directory takes them over. If none comes, their shims end them
after their orphan timeout. SIGINT (Ctrl-C) ends them, and so does any stop of a host that was started with `--end-agents-on-stop`,
or that lives as long as the program that started it (`--until-eof`).
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog

from agenthost.agent_specs import find_agents, tried, warn_of_unusable
from agenthost.api.execution_servicer import ExecutionServicer
from agenthost.api.host_servicer import HostServicer
from agenthost.api.messages import read_stored
from agenthost.api.snapshot_servicer import SnapshotServicer
from agenthost.attempt.folder import AttemptFolders
from agenthost.attempt.shims import SHIMS, Shims
from agenthost.config import GOODBYE_SECONDS, STOP_GRACE_SECONDS, Settings
from agenthost.core.models.facts import ModelFacts
from agenthost.errors import ConfigurationError
from agenthost.host.adoption import adopt_leftovers
from agenthost.host.announcing import announcing
from agenthost.host.data_folder import DataFolder
from agenthost.host.fences import Fences
from agenthost.host.housekeeping import Housekeeping
from agenthost.host.preparation import Preparation
from agenthost.host.state import Host
from agenthost.host.supervisor import NoteEnd, Supervisor, ignore_end
from agenthost.host.tombstones import Tombstones
from agenthost.models.addresses import find_addresses
from agenthost.models.enquiry import Enquiry
from agenthost.models.link import ModelGateway
from agenthost.proof.probe import Proof, prove
from agenthost.proof.prover import Prover
from agenthost.snapshots.integrity import SnapshotIntegrity
from agenthost.snapshots.store import SnapshotStore
from agenthost.system.clock import steady_clock
from agenthost.telemetry.sources import Sources, make_metrics, serving_metrics
from agenthost.v1 import execution_service_pb2_grpc, host_service_pb2_grpc, snapshot_service_pb2_grpc
from servicekit.addresses import Address, AddressError, AddressInUseError, refuse_taken
from servicekit.release import release_number
from servicekit.server import Registration, Server
from servicekit.tls.files import TlsFolder

if TYPE_CHECKING:
    from agenthost.api.renewal import CertificateRenewal
    from agenthost.telemetry.metrics import Metrics
    from servicekit.tls.readers import ReaderDoor
    from servicekit.tls.revocations import WatchedRevocations

_log = structlog.get_logger()


async def serve(settings: Settings, announce: Callable[[str, Host], None]) -> None:
    """Serves until SIGTERM or SIGINT. Raises ConfigurationError when it cannot begin."""
    address = parse_address(settings.listen)
    settings.tls.check()
    data = DataFolder(settings.data)
    if not settings.data.exists():  # a folder is not made for a host that cannot begin
        with _address_errors():
            refuse_taken(address)
    data.acquire()
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.put_nowait, number)
    try:
        async with running_host(settings, address, data) as (host, target), announcing(settings, target):
            agents = [name for name, agent in host.agents.items() if host.shown(agent).available]
            _log.info("host_started", host=settings.name, address=target, slots=settings.slots, agents=agents)
            announce(target, host)
            host.ends_agents |= await asked.get() is signal.SIGINT
            _log.info("stop_requested", host=settings.name, ends_agents=host.ends_agents)
    except BaseExceptionGroup as group:
        raise _cause(group) from group
    _log.info("host_stopped", host=settings.name)


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns the ConfigurationError in a group, if there is one: the executions' task group wraps every error."""
    found: BaseException | None = group.subgroup(ConfigurationError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found or group


def parse_address(text: str) -> Address:
    """Returns the address to listen at; raises ConfigurationError for a malformed one."""
    try:
        return Address.parse(text, is_anywhere=True)
    except AddressError as error:
        raise ConfigurationError(f"--listen: {error}") from error


@asynccontextmanager
async def running_host(
    settings: Settings, address: Address, data: DataFolder, proof: Proof = prove
) -> AsyncIterator[tuple[Host, str]]:
    """Serves a host at once, and yields it with its address; its work waits for the proof. Leaving stops it in phases."""
    agents = await find_agents(settings.agents_dirs, settings.models, settings.commands)
    warn_of_unusable({name: tried(agent) for name, agent in agents.items()})
    host = Host(settings, agents, ends_agents=settings.end_agents_on_stop, instance=data.instance())
    host.models = {name: ModelFacts() for name in settings.models}
    host.addresses = await find_addresses(settings.models)
    prover = Prover(host, data.path, proof)
    now = steady_clock()
    snapshots = await SnapshotStore.open(data.snapshots, settings.keeping, now)
    integrity = SnapshotIntegrity(snapshots)
    metrics: Metrics | None = None
    if settings.metrics:
        sources = Sources(
            host,
            data.path,
            executions=lambda: supervisor.executions,
            snapshots=lambda: snapshots.eviction.figures,
            gateway_runs=lambda: gateway.is_running,
            version=release_number(),
        )
        metrics = make_metrics(settings.metrics, sources, partial(_reader_door, settings))
    note_end = metrics.note_end if metrics else ignore_end
    async with (
        ModelGateway(data.path, settings.models, host.pools, host.note_quiet) as gateway,
        supervising(host, data, integrity, gateway, now=now, note_end=note_end) as supervisor,
        serving_metrics(metrics),
    ):

        def settle_model(name: str, facts: ModelFacts) -> None:
            host.settle_model(name, facts)
            gateway.refresh()

        revocations = _revocations(address, settings)
        watched = HostServicer(
            host,
            prover,
            snapshots.eviction,
            revocations,
            certificate_end=_certificate_end(address, settings),
            keep_quiet=gateway.keep_quiet,
            renewal=_renewal(address, settings),
        )
        server = await _listen(
            address,
            [
                (
                    execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server,
                    ExecutionServicer(supervisor, Fences(data.fences, supervisor.conductors), host),
                ),
                (host_service_pb2_grpc.add_HostServiceServicer_to_server, watched),
                (snapshot_service_pb2_grpc.add_SnapshotServiceServicer_to_server, SnapshotServicer(snapshots)),
            ],
            settings,
            revocations,
        )
        try:
            async with (
                Housekeeping(data, snapshots, integrity, host.change),
                Enquiry(settings.models, settle_model),
                prover,
            ):
                yield host, server.address.text
        finally:
            await server.tell_stopping()
            host.stop()
            if host.ends_agents:
                await supervisor.end_all(STOP_GRACE_SECONDS)
            left = await supervisor.let_go(STOP_GRACE_SECONDS)
            await watched.say_goodbye(GOODBYE_SECONDS)
            await server.stop(STOP_GRACE_SECONDS)
            supervisor.close()
            if left:
                _log.info(
                    "agents_left_running", count=left, hint=f"the next daemon with --data {data.path} takes them up"
                )
            else:
                await gateway.end()


@asynccontextmanager
async def supervising(
    host: Host,
    data: DataFolder,
    integrity: SnapshotIntegrity,
    gateway: ModelGateway,
    *,
    now: Callable[[], float],
    shims: Shims = SHIMS,
    note_end: NoteEnd = ignore_end,
) -> AsyncIterator[Supervisor]:
    """Supervises the executions of a host, with those that an earlier daemon left. The simulation begins here, too."""
    folders = AttemptFolders(data.attempts, host.boot_id)
    preparation = Preparation(host, integrity, folders, gateway, shims)
    async with Supervisor(
        host, integrity, folders, Tombstones(data.tombstones, now), preparation, now=now, note_end=note_end
    ) as supervisor:
        await adopt_leftovers(supervisor, folders, partial(read_stored, limits=host.settings.limits), shims)
        yield supervisor


def _reader_door(settings: Settings) -> "ReaderDoor | None":
    """Returns the door of the page of metrics, where other machines reach it: clients of the pool may read it."""
    if settings.metrics is None or settings.metrics.is_local or settings.tls.serving is None:
        return None
    from servicekit.tls.readers import ReaderDoor  # noqa: PLC0415 (as below)

    return ReaderDoor(settings.tls.serving, settings.data)


def _revocations(address: Address, settings: Settings) -> "WatchedRevocations | None":
    if settings.tls.serving is None or not settings.tls.serves(address):
        return None
    # A host without TLS does not load the library that reads certificates.
    from servicekit.tls.revocations import RevocationFile, WatchedRevocations  # noqa: PLC0415

    return WatchedRevocations(RevocationFile(TlsFolder.of(settings.data).revoked, settings.tls.serving.ca))


def _renewal(address: Address, settings: Settings) -> "CertificateRenewal | None":
    folder, serving = TlsFolder.of(settings.data), settings.tls.serving
    if serving is None or not settings.tls.serves(address) or serving.certificate != folder.serving().certificate:
        return None  # an operator's own PKI renews its certificates itself
    from agenthost.api.renewal import CertificateRenewal  # noqa: PLC0415 (as above)

    return CertificateRenewal(folder)


def _certificate_end(address: Address, settings: Settings) -> Callable[[], float]:
    if settings.tls.serving is None or not settings.tls.serves(address):
        return lambda: 0.0
    from agenthost.api.conductors import CertificateEnd  # noqa: PLC0415 (as above)

    return CertificateEnd(settings.tls.serving.certificate)


async def _listen(
    address: Address,
    registrations: Sequence[Registration],
    settings: Settings,
    revocations: "WatchedRevocations | None",
) -> Server:
    with _address_errors():
        if settings.tls.serving is None or revocations is None:
            return await Server.start(address, registrations, service="agenthost")
        from agenthost.api.conductors import pool_door  # noqa: PLC0415 (as above)

        door = pool_door(settings.tls.serving, settings.name, revocations)
        return await Server.start(address, registrations, service="agenthost", admit=door.admit, tls=door.credentials)


@contextmanager
def _address_errors() -> Iterator[None]:
    try:
        yield
    except AddressInUseError as error:
        raise ConfigurationError(str(error), hint="agenthost serve --listen ADDRESS takes another") from error
    except AddressError as error:
        raise ConfigurationError(str(error)) from error
