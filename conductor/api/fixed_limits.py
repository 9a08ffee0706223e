"""The limits that clients meet and that no setting changes, under the names by which GetServerInfo tells them."""

from conductor.api.flow_servicer import MAX_YAML_BYTES
from conductor.api.gate_servicer import MAX_COMMENT_CHARACTERS, MAX_EDIT_BYTES, MAX_RESOLVER_CHARACTERS
from conductor.api.messages.json_values import MAX_NESTING
from conductor.api.messages.tokens import MAX_PAGE_SIZE
from conductor.api.run_creation import MAX_LABEL_CHARACTERS, MAX_LABELS, MAX_PRIORITY
from conductor.api.run_servicer import MAX_REASON_CHARACTERS
from conductor.flows.checks.input_rules import MAX_INPUTS_BYTES, MAX_QUESTION_CHARACTERS
from conductor.flows.language.counts import MAX_STEPS
from conductor.snapshots.pushed.limits import MAX_CHUNK_BYTES, MAX_COMMITS, MAX_PACK_BYTES
from servicekit.calls.interceptor import MAX_REQUEST_BYTES
from servicekit.calls.rooms import ROOMS
from servicekit.channels import MAX_CONNECTIONS, MAX_IDLE_SECONDS, MAX_WIRE_BYTES, SERVER_OPTIONS
from servicekit.packs.pushes import MAX_PUSHES, MAX_PUSHES_PER_CALLER


def fixed_limits() -> dict[str, int]:
    """Returns every fixed limit by its name."""
    options = dict(SERVER_OPTIONS)
    limits = {
        "request_bytes": MAX_REQUEST_BYTES,
        "message_bytes": MAX_WIRE_BYTES,
        "page_size": MAX_PAGE_SIZE,
        "flow_yaml_bytes": MAX_YAML_BYTES,
        "flow_steps": MAX_STEPS,
        "question_characters": MAX_QUESTION_CHARACTERS,
        "inputs_bytes": MAX_INPUTS_BYTES,
        "inputs_nesting": MAX_NESTING,
        "labels": MAX_LABELS,
        "label_characters": MAX_LABEL_CHARACTERS,
        "priority": MAX_PRIORITY,
        "reason_characters": MAX_REASON_CHARACTERS,
        "gate_comment_characters": MAX_COMMENT_CHARACTERS,
        "gate_edit_bytes": MAX_EDIT_BYTES,
        "gate_resolver_characters": MAX_RESOLVER_CHARACTERS,
        "push.pack_bytes": MAX_PACK_BYTES,
        "push.chunk_bytes": MAX_CHUNK_BYTES,
        "push.commits": MAX_COMMITS,
        "pushes": MAX_PUSHES,
        "pushes_of_caller": MAX_PUSHES_PER_CALLER,
        "connections": MAX_CONNECTIONS,
        "connection_idle_seconds": MAX_IDLE_SECONDS,
        "keepalive.time_ms": options["grpc.keepalive_time_ms"],
        "keepalive.timeout_ms": options["grpc.http2.ping_timeout_ms"],
        "keepalive.min_ping_interval_ms": options["grpc.http2.min_ping_interval_without_data_ms"],
    }
    return limits | {f"calls.{room}": most for room, most in ROOMS.items()}
