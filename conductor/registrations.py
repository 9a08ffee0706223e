"""Makes the servicers of a conductor, joined with the parts that they ask. They live through each change of the role."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from conductor.api.access.certificate_book import CertificateBook
from conductor.api.access.token_book import TokenBook
from conductor.api.access_servicer import AccessServicer
from conductor.api.flow_servicer import FlowServicer
from conductor.api.gate_servicer import GateServicer
from conductor.api.launching.planning import RunPlanning
from conductor.api.launching.retry import RunRetry
from conductor.api.pool_servicer import PoolServicer, PoolView
from conductor.api.presence import HostsView
from conductor.api.reading.gate_reading import GateReading
from conductor.api.run_creation import Pinning, RunCreation
from conductor.api.run_servicer import Launching, RunServicer
from conductor.api.server_servicer import ServerFacts, ServerRole, ServerServicer
from conductor.api.workspace_servicer import WorkspaceServicer
from conductor.clock import SystemClock
from conductor.config import Settings
from conductor.core.decide.endings.loss import count_of_earlier_instances
from conductor.core.placing.standing import count_queued, list_uses
from conductor.engine.seat import Seat
from conductor.evaluation.evaluator import Evaluator
from conductor.flows.library.catalogue import Catalogue
from conductor.flows.library.layers import folders
from conductor.hosts.channels import HostChannels
from conductor.hosts.liveness import HostLink
from conductor.maintenance.retention import Retention
from conductor.snapshots import SnapshotStore
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.snapshots.roots import WorkspaceRoots
from conductor.store.port import Store
from conductor.store.shared import SharedStore
from conductor.v1 import (
    access_service_pb2_grpc,
    flow_service_pb2_grpc,
    gate_service_pb2_grpc,
    pool_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
    workspace_service_pb2_grpc,
)
from servicekit.release import release_number
from servicekit.server import Registration


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


@dataclass(frozen=True, slots=True)
class Joined:
    """The parts that servicers ask beside the opened ones. `role` and `address` tell this server's, `links` its hosts'."""

    seat: Seat
    evaluator: Evaluator
    retention: Retention
    pushed: PushedSnapshots
    links: Callable[[], Mapping[str, HostLink]]
    hosts: HostsView
    role: Callable[[], ServerRole]
    hand_over: Callable[[], Awaitable[None]]
    address: Callable[[], str]
    is_traced: bool


def make_registrations(settings: Settings, opened: Opened, joined: Joined) -> list[Registration]:
    """Returns every servicer with the function that adds it to a server."""
    catalogue = Catalogue(folders(settings.project, os.environ), joined.evaluator)
    has_tls = settings.tls.calling is not None
    certificates = CertificateBook(settings.data, settings.tls.serving.ca if settings.tls.serving else None)
    return [
        (run_service_pb2_grpc.add_RunServiceServicer_to_server, _make_runs(settings, opened, joined, catalogue)),
        (
            gate_service_pb2_grpc.add_GateServiceServicer_to_server,
            GateServicer(
                joined.seat,
                GateReading(opened.store, lambda: joined.seat.state.ongoing),
                joined.evaluator.judge_edit,
            ),
        ),
        (flow_service_pb2_grpc.add_FlowServiceServicer_to_server, FlowServicer(catalogue)),
        (workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server, WorkspaceServicer(joined.pushed)),
        (
            pool_service_pb2_grpc.add_PoolServiceServicer_to_server,
            PoolServicer(joined.hosts, joined.seat, has_tls=has_tls),
        ),
        (
            server_service_pb2_grpc.add_ServerServiceServicer_to_server,
            ServerServicer(
                _facts(settings, opened),
                joined.role,
                joined.address,
                lambda: len(joined.seat.state.ongoing),
                joined.hand_over,
            ),
        ),
        (
            access_service_pb2_grpc.add_AccessServiceServicer_to_server,
            AccessServicer(opened.tokens, certificates),
        ),
    ]


def _make_runs(settings: Settings, opened: Opened, joined: Joined, catalogue: Catalogue) -> RunServicer:
    seat, evaluator, clock = joined.seat, joined.evaluator, opened.clock
    pinning = Pinning(catalogue, evaluator, opened.snapshots, opened.roots, joined.pushed, opened.fetching)
    creation = RunCreation(opened.store, seat, pinning, clock, settings, is_traced=joined.is_traced)
    launching = Launching(
        creation,
        RunPlanning(seat, creation, evaluator, joined.links, clock),
        RunRetry(opened.store, creation, clock),
    )
    return RunServicer(
        opened.store,
        seat,
        launching,
        joined.retention,
        evaluator=evaluator,
        progress_seconds=settings.limits.progress_seconds,
        now=clock.now,
    )


def make_view(settings: Settings, opened: Opened, seat: Seat, links: Callable[[], Mapping[str, HostLink]]) -> PoolView:
    """Returns the hosts as the links of the active conductor see them."""
    now = opened.clock.now
    lost_after = settings.clocks.lost_after_seconds
    return PoolView(
        links,
        lambda: seat.state.registry,
        seat.count_running,
        lambda: now() - lost_after,
        lambda host: count_of_earlier_instances(seat.state, host),
        lambda: list_uses(seat.state, now()),
        lambda: count_queued(seat.state),
    )


def _facts(settings: Settings, opened: Opened) -> ServerFacts:
    return ServerFacts(
        version=release_number(),
        conductor_id=opened.store.conductor_id,
        start_time=opened.clock.now(),
        settings=settings.shown(),
        store="postgresql" if isinstance(opened.store, SharedStore) else "sqlite",
    )
