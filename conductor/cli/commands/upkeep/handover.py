"""`conductor handover`: the active conductor gives its lease away, and another one of its database takes over."""

import time

import click

from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED
from conductor.cli.views.view import as_json
from conductor.v1 import server_service_pb2 as pb
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import printable

# Above what a standby needs to notice a free lease and to recover.
TAKEOVER_SECONDS = 15.0
PAUSE_SECONDS = 0.1


@click.command()
@click.pass_obj
def handover(context: Context) -> int:
    """Make the active conductor a standby, so that another one of its database takes over. Agents go on."""
    with connected(context.address) as connection:
        before = connection.server.HandOver(pb.HandOverRequest(), timeout=CALL_SECONDS)
        info = _wait_for_other(connection, before)
    has_followed = _has_followed(info)
    if context.is_json:
        put(as_json(info))
    elif has_followed:
        say(f"✔ {printable(info.active_address)} is the active conductor now; {printable(info.address)} is a standby")
    else:
        say(f"✘ no other conductor took over within {TAKEOVER_SECONDS:g} s; this one does so again", err=True)
        say("start another on the same database:  conductor serve --store URL …", 2, err=True)
    return 0 if has_followed else RUN_FAILED


def _has_followed(info: pb.ServerInfo) -> bool:
    return info.role == "standby" and bool(info.active_address)


def _wait_for_other(connection: Connection, info: pb.ServerInfo) -> pb.ServerInfo:
    """Returns what the conductor knows once another one is active, or at the end of its patience."""
    until = time.monotonic() + TAKEOVER_SECONDS
    while not _has_followed(info) and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        info = connection.server.GetServerInfo(pb.GetServerInfoRequest(), timeout=CALL_SECONDS)
    return info
