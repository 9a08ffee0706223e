"""`conductor hosts`: lists and shows hosts, adds, moves and removes them, drains them, and finds announced ones.

A word that is no command of it is the name of a host to show. One called `add` is shown by `conductor hosts hosts/add`.
"""

import time
import uuid
from collections.abc import Iterable
from typing import Any

import click

from conductor.cli.commands.pool.discovery import discover
from conductor.cli.commands.pool.watching import agents_run, wait_for_contact, wait_until_empty
from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.following import say_next
from conductor.cli.text.names import short
from conductor.cli.views.hosts import fact_lines, say_host
from conductor.cli.views.pools import likeness_lines, pool_lines
from conductor.cli.views.view import as_json
from conductor.v1 import pool_service_pb2 as pb
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import printable

_SHOW = "show"


class HostGroup(click.Group):
    """A group whose first argument may be the name of a host instead of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:  # noqa: D102
        is_named = bool(args) and (args[0] in self.commands or args[0] in self.get_help_option_names(ctx))
        return super().parse_args(ctx, args if is_named else [_SHOW, *args])


@click.group(cls=HostGroup)
def hosts() -> None:
    """List the hosts, show the one called NAME, or change which hosts the conductor drives."""


hosts.add_command(discover)


@hosts.command(_SHOW, hidden=True)
@click.argument("name", metavar="[NAME]", required=False)
@click.pass_obj
def show(context: Context, name: str | None) -> None:
    """List hosts, or show the one called NAME with its agents."""
    with connected(context.address) as connection:
        found = list_hosts(connection) if name is None else [get_host(connection, name)]
    for host in found:
        if context.is_json:
            put(as_json(host))
        elif name is None:
            say_host(host)
        else:
            _say_page(host)
    if not context.is_json:
        _say_pools(found)
    if not found and not context.is_json:
        say_next("no hosts; add one:  conductor hosts add NAME ADDRESS", err=True)


@hosts.command()
@click.argument("name")
@click.argument("where", metavar="ADDRESS")
@click.option("--move", is_flag=True, help="The host of this name has moved: it is at ADDRESS now.")
@click.pass_obj
def add(context: Context, name: str, where: str, *, move: bool) -> None:
    """Add the host called NAME at ADDRESS: the conductor drives it from now on, also after a restart.

    NAME is the one that the host was started with, ADDRESS is unix:PATH or HOST:PORT.
    """
    with connected(context.address) as connection:
        request = pb.AddHostRequest(name=name, address=where, move=move, request_id=str(uuid.uuid4()))
        host = connection.pool.AddHost(request, timeout=CALL_SECONDS)
        host = wait_for_contact(connection, host)
    _show_changed(context, host)
    if not context.is_json and host.state == pb.Host.STATE_CONNECTING:
        say("it is added, and was not reached yet; the conductor keeps trying", err=True)


@hosts.command()
@click.argument("name")
@click.option(
    "--force", is_flag=True, help="Also while agents run there. They count again when it is added again in time."
)
@click.pass_obj
def remove(context: Context, name: str, *, force: bool) -> None:
    """Remove the host called NAME that was added. Nothing is ended there: drain it first, and wait until it is empty."""
    with connected(context.address) as connection:
        host = get_host(connection, name)
        request = pb.RemoveHostRequest(name=host.name, force=force, request_id=str(uuid.uuid4()))
        connection.pool.RemoveHost(request, timeout=CALL_SECONDS)
    if context.is_json:
        return
    say(f"removed {short(host.name)}, which was at {printable(host.address)}")
    if host.running:
        again = f"conductor hosts add {short(host.name)} {printable(host.address)}"
        say_next(f"{agents_run(host.running)} there; add it again:  {again}", err=True)


@hosts.command()
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait until nothing of this conductor runs there any more.")
@click.pass_obj
def drain(context: Context, name: str, *, wait: bool) -> None:
    """Drain the host called NAME: nothing new starts there, what runs goes on."""
    _show_changed(context, _drain(context, name, undrain=False, wait=wait))


@hosts.command()
@click.argument("name")
@click.pass_obj
def undrain(context: Context, name: str) -> None:
    """Let the host called NAME have work again."""
    _show_changed(context, _drain(context, name, undrain=True, wait=False))


def list_hosts(connection: Connection) -> list[pb.Host]:
    """Returns all hosts, by name."""
    found: list[pb.Host] = []
    request = pb.ListHostsRequest(page_size=500)
    while True:
        page = connection.pool.ListHosts(request, timeout=CALL_SECONDS)
        found.extend(page.hosts)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def get_host(connection: Connection, name: str) -> pb.Host:
    """Returns the host of a name, with or without its collection."""
    full = name if name.startswith("hosts/") else f"hosts/{name}"
    host: pb.Host = connection.pool.GetHost(pb.GetHostRequest(name=full), timeout=CALL_SECONDS)
    return host


def _drain(context: Context, name: str, *, undrain: bool, wait: bool) -> pb.Host:
    with connected(context.address) as connection:
        request: Any = pb.DrainHostRequest(name=name, undrain=undrain, request_id=str(uuid.uuid4()))
        host: pb.Host = connection.pool.DrainHost(request, timeout=CALL_SECONDS)
        return wait_until_empty(connection, host) if wait else host


def _show_changed(context: Context, host: pb.Host) -> None:
    if context.is_json:
        put(as_json(host))
    else:
        say_host(host)


def _say_page(host: pb.Host) -> None:
    say_host(host, with_agents=True)
    for line in fact_lines(host, time.time()):
        say(f"    {line}")


def _say_pools(found: Iterable[pb.Host]) -> None:
    for line in (*pool_lines(found, time.time()), *likeness_lines(found)):
        say(line, 4)
