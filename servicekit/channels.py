"""Options of every channel and server, each of them measured, and the one place where channels are opened."""

import grpc

MAX_WIRE_BYTES = 16 * 1024 * 1024
# Of one listener, silent ones included. Further connections are closed until another one leaves.
MAX_CONNECTIONS = 512
# A connection without a call ends after once or twice this time: idle ones could keep all others out. Streams are calls. A channel
# connects again when it is used; a call at the very moment of the end fails as UNAVAILABLE.
MAX_IDLE_SECONDS = 60

# From a connection's begin to its first frame of HTTP/2; gRPC's usual 120 s let few strangers fill a server for long.
HANDSHAKE_SECONDS = 10

_COMMON_OPTIONS: tuple[tuple[str, int], ...] = (
    # Above the limit on requests that the interceptor keeps: gRPC's own refusal has no details.
    ("grpc.max_receive_message_length", MAX_WIRE_BYTES),
    ("grpc.max_send_message_length", MAX_WIRE_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    # `grpc.keepalive_timeout_ms` is not enforced (grpc#39239): without this one a frozen peer is noticed after a minute.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)

# Calls that arrived and that no handler has yet. gRPC drops some beyond the first number, and all beyond the second, and tells
# their clients nothing but CANCELLED. Its usual 1000 and 3000 are less than one client may have.
MAX_PENDING_CALLS = (20_000, 30_000)

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    *_COMMON_OPTIONS,
    # Nothing else bounds them: each takes a descriptor, which agents and the database need.
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ("grpc.max_connection_idle_ms", MAX_IDLE_SECONDS * 1000),
    ("grpc.server.max_pending_requests", MAX_PENDING_CALLS[0]),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS[1]),
    # Otherwise a second server binds the same port silently.
    ("grpc.so_reuseport", 0),
    # The tolerance for pings; `grpc.http2.min_recv_ping_interval_without_data_ms` is silently ignored.
    ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
)

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    *_COMMON_OPTIONS,
    ("grpc.enable_http_proxy", 0),
    # Callers retry themselves; gRPC's own retries buffer what was sent.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

# 100 unread streams buffered 398 MB with the probe, and 6 MB without it.
EXECUTION_OPTIONS: tuple[tuple[str, int], ...] = (*CHANNEL_OPTIONS, ("grpc.http2.bdp_probe", 0))


def open_channel(
    target: str,
    *,
    many_streams: bool = False,
    credentials: grpc.ChannelCredentials | None = None,
    server_name: str = "",
) -> grpc.aio.Channel:
    """Opens a channel, with TLS where there are credentials; `many_streams` keeps the buffers of unread streams small.

    `server_name` is the name that the server's certificate must have; without it, that of the address.
    """
    options: tuple[tuple[str, int | str], ...] = EXECUTION_OPTIONS if many_streams else CHANNEL_OPTIONS
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    if server_name:
        options = (*options, ("grpc.ssl_target_name_override", server_name))
    return grpc.aio.secure_channel(target, credentials, options=options)
