"""Waits for a host: until it was reached, or until nothing runs there any more."""

import time

import grpc

from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.text.names import short
from conductor.v1 import pool_service_pb2 as pb
from servicekit.printing.page import say

LOOK_SECONDS = 0.2
CONTACT_SECONDS = 5.0
EMPTY_LOOK_SECONDS = 1.0
# A conductor that is restarted meanwhile is waited for.
PATIENCE_SECONDS = 60.0


def wait_for_contact(connection: Connection, host: pb.Host) -> pb.Host:
    """Returns a host once the conductor has reached it, or knows why it cannot; at last as it is after a few seconds."""
    until = time.monotonic() + CONTACT_SECONDS
    while host.state == pb.Host.STATE_CONNECTING and not host.problem and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        host = connection.pool.GetHost(pb.GetHostRequest(name=host.name), timeout=CALL_SECONDS)
    return host


def wait_until_empty(connection: Connection, host: pb.Host) -> pb.Host:
    """Returns a drained host once nothing of its conductor runs there, or once another caller has taken its drain back."""
    told = -1
    while host.running and host.HasField("drain"):
        if host.running != told:
            say(f"{agents_run(host.running)} on {short(host.name)}", err=True)
            told = host.running
        time.sleep(EMPTY_LOOK_SECONDS)
        host = _look(connection, host.name)
    return host


def agents_run(count: int) -> str:
    """Returns `2 agents run`."""
    return "1 agent runs" if count == 1 else f"{count} agents run"


def _look(connection: Connection, name: str) -> pb.Host:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            host: pb.Host = connection.pool.GetHost(pb.GetHostRequest(name=name), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                raise
            time.sleep(EMPTY_LOOK_SECONDS)
        else:
            return host
