"""One synchronous channel to the conductor, or to the conductors of several addresses, and stubs over it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
import grpc

from conductor.cli.addresses import Turns, read_addresses
from conductor.cli.call_metadata import MetadataInterceptor, metadata_of
from conductor.cli.main import Context
from conductor.cli.text.failure import ANSWER_SECONDS, CONNECT_SECONDS, from_rpc
from conductor.cli.tls import given_tls
from conductor.cli.token import require_safe
from conductor.v1 import (
    access_service_pb2_grpc,
    flow_service_pb2_grpc,
    gate_service_pb2_grpc,
    pool_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
    workspace_service_pb2_grpc,
)
from servicekit.addresses import Address

CALL_SECONDS = ANSWER_SECONDS
# CreateRun pins the workspace first, which takes its time on a large one.
CREATE_SECONDS = 600.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
# A conductor that stands still keeps its connections: without pings, a caller would never ask the next one.
_PINGS = (("grpc.keepalive_time_ms", 5_000), ("grpc.keepalive_timeout_ms", 5_000))


class Connection:
    """Stubs of every service that the command line uses."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.flows = flow_service_pb2_grpc.FlowServiceStub(channel)
        self.runs = run_service_pb2_grpc.RunServiceStub(channel)
        self.gates = gate_service_pb2_grpc.GateServiceStub(channel)
        self.pool = pool_service_pb2_grpc.PoolServiceStub(channel)
        self.workspaces = workspace_service_pb2_grpc.WorkspaceServiceStub(channel)
        self.server = server_service_pb2_grpc.ServerServiceStub(channel)
        self.access = access_service_pb2_grpc.AccessServiceStub(channel)


@contextmanager
def connected(address: str, seconds: float = CALL_SECONDS) -> Iterator[Connection]:
    """Yields a connection. A failed call inside becomes a CommandError that a person can use. Calls inside wait for `seconds`."""
    given, token = read_addresses(address), _given_token()
    with ExitStack() as stack:
        pings = _PINGS if len(given) > 1 else ()
        channels = [stack.enter_context(_channel(one, pings, with_token=bool(token))) for one in given]
        if metadata := metadata_of(token):
            channels = [grpc.intercept_channel(channel, MetadataInterceptor(metadata)) for channel in channels]
        try:
            yield Connection(channels[0] if len(channels) == 1 else _failover(channels, given))
        except grpc.RpcError as error:
            raise from_rpc(error, address, seconds) from error


def _failover(channels: list[grpc.Channel], given: tuple[Address, ...]) -> grpc.Channel:
    from conductor.cli.failover import FailoverChannel

    return FailoverChannel(channels, Turns([one.text for one in given]))


def _channel(address: Address, pings: tuple[tuple[str, int], ...], *, with_token: bool) -> grpc.Channel:
    options = (*_OPTIONS, *pings)
    tls = None if address.socket else given_tls().read()
    if tls is None:
        if with_token:
            require_safe(address)
        return grpc.insecure_channel(address.target, options=options)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    named = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
    return grpc.secure_channel(address.target, credentials, options=(*options, *named))


def _given_token() -> str:
    command = click.get_current_context(silent=True)
    return command.obj.token if command is not None and isinstance(command.obj, Context) else ""
