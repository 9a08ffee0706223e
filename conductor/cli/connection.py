"""One synchronous channel to the conductor, and stubs over it."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import grpc

from conductor.cli.call_metadata import MetadataInterceptor, metadata_of
from conductor.cli.main import Context
from conductor.cli.text.failure import ANSWER_SECONDS, CONNECT_SECONDS, CommandError, from_rpc
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
from servicekit.addresses import Address, AddressError

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
    parsed, token = _parsed(address), _given_token()
    with _channel(parsed, with_token=bool(token)) as channel:
        try:
            metadata = metadata_of(token)
            yield Connection(grpc.intercept_channel(channel, MetadataInterceptor(metadata)) if metadata else channel)
        except grpc.RpcError as error:
            raise from_rpc(error, address, seconds) from error


def _channel(address: Address, *, with_token: bool) -> grpc.Channel:
    tls = None if address.socket else given_tls().read()
    if tls is None:
        if with_token:
            require_safe(address)
        return grpc.insecure_channel(address.target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    named = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
    return grpc.secure_channel(address.target, credentials, options=(*_OPTIONS, *named))


def _parsed(address: str) -> Address:
    """Returns an address for gRPC; raises a CommandError for what gRPC would misread, or look up for as long as that takes."""
    try:
        return Address.parse_dialled(address, is_anywhere=True)
    except AddressError as error:
        raise CommandError(str(error)) from error


def _given_token() -> str:
    command = click.get_current_context(silent=True)
    return command.obj.token if command is not None and isinstance(command.obj, Context) else ""
