"""`conductor doctor`: looks at what a run needs, and says for each thing that is missing what to do about it."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click
import grpc

from conductor.cli.connection import Connection, connected
from conductor.cli.failure import RUN_FAILED, from_rpc
from conductor.cli.flows import bad_files
from conductor.cli.hosts import AGENT_INDENT, agent_lines, host_line
from conductor.cli.main import Context
from conductor.cli.names import short
from conductor.cli.page import say
from conductor.cli.terminal_text import one_line, printable
from conductor.cli.wording import counted
from conductor.v1 import flow_service_pb2, pool_service_pb2, server_service_pb2

LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at. `advice` says what to do when it is not good; `details` are shown always."""

    good: bool
    text: str
    advice: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


@click.command()
@click.pass_obj
def doctor(context: Context) -> int:
    """Look for what is wrong, and say what to do."""
    looks = []
    for look in _looks(context):
        say(f"{'✔' if look.good else '✘'} {look.text}")
        for line in look.details:
            say(f"    {line}", AGENT_INDENT if line.startswith(("✔", "✘", "?")) else 6)
        for line in () if look.good else look.advice:
            say(f"    {line}", 6)
        looks.append(look)
    bad = sum(not look.good for look in looks)
    if bad:
        say(f"\n{counted(bad, 'thing')} to mend; then try again:  conductor doctor")
        return RUN_FAILED
    say("\nall good; try:  conductor run survey PATH")
    return 0


def _looks(context: Context) -> Iterator[Look]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Look(sys.version_info >= (3, 11), f"Python {version}", ("Python 3.11 or newer is needed",))
    git = shutil.which("git")
    yield Look(git is not None, f"git at {git}" if git else "git is missing", ("install it:  apt install git",))
    with connected(context.address) as connection:
        try:
            asked = server_service_pb2.GetServerInfoRequest()
            info = connection.server.GetServerInfo(asked, timeout=LOOK_SECONDS)
        except grpc.RpcError as error:
            failure = from_rpc(error, context.address)
            yield Look(good=False, text=str(failure), advice=failure.lines)
            return
        yield Look(good=True, text=f"conductor {info.version} at {context.address}, start {info.epoch} of its database")
        yield from _server_looks(connection)


def _server_looks(connection: Connection) -> Iterator[Look]:
    asked = flow_service_pb2.ListFlowsRequest(page_size=500)
    listed = connection.flows.ListFlows(asked, timeout=LOOK_SECONDS)
    nothing = ("the installation holds no flows; install it again:  ./dev setup",)
    yield Look(bool(listed.flows), counted(len(listed.flows), "flow"), nothing)
    for title, first, advice in bad_files(listed.problems):
        yield Look(good=False, text=title, advice=(first, advice))
    hosts = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=LOOK_SECONDS).hosts
    yield Look(
        bool(hosts), f"{counted(len(hosts), 'host')} configured", ("name one:  conductor serve --host NAME=ADDRESS",)
    )
    for host in hosts:
        yield _host_look(host)


def _host_look(host: pool_service_pb2.Host) -> Look:
    name, address = short(host.name), printable(host.address)
    advice = (
        f"start it:  agenthost serve --listen {address} --data DIR --name {name}",
        "if it runs, ask there:  agenthost doctor",
    )
    problem = (one_line(host.problem, 300),) if host.problem else ()
    ready = host.state == pool_service_pb2.Host.STATE_READY
    return Look(ready, host_line(host)[2:], advice, details=(*problem, *(line.strip() for line in agent_lines(host))))
