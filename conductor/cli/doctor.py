"""`conductor doctor`: looks at what a run needs, and says for each thing that is missing what to do about it."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click
import grpc

from conductor.cli.connection import Connection, connected
from conductor.cli.failure import RUN_FAILED, from_rpc
from conductor.cli.hosts import agent_lines, host_line
from conductor.cli.main import Context
from conductor.v1 import flow_service_pb2, pool_service_pb2, server_service_pb2

LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at. `advice` says what to do when it is not good."""

    good: bool
    text: str
    advice: str = ""


@click.command()
@click.pass_obj
def doctor(context: Context) -> int:
    """Look for what is wrong, and say what to do."""
    looks = []
    for look in _looks(context):
        click.echo(f"{'✔' if look.good else '✘'} {look.text}")
        if not look.good and look.advice:
            click.echo(f"    {look.advice}")
        looks.append(look)
    if all(look.good for look in looks):
        click.echo("\nall good; try:  conductor run survey PATH")
        return 0
    return RUN_FAILED


def _looks(context: Context) -> Iterator[Look]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Look(sys.version_info >= (3, 11), f"Python {version}", "Python 3.11 or newer is needed")
    git = shutil.which("git")
    yield Look(git is not None, f"git at {git}" if git else "git is missing", "install git: apt install git")
    with connected(context.address) as connection:
        try:
            asked = server_service_pb2.GetServerInfoRequest()
            info = connection.server.GetServerInfo(asked, timeout=LOOK_SECONDS)
        except grpc.RpcError as error:
            failure = from_rpc(error, context.address)
            yield Look(good=False, text=str(failure), advice="; ".join(failure.lines))
            return
        yield Look(good=True, text=f"conductor {info.version} at {context.address}, start {info.epoch} of its database")
        yield from _server_looks(connection)


def _server_looks(connection: Connection) -> Iterator[Look]:
    asked = flow_service_pb2.ListFlowsRequest(page_size=500)
    listed = connection.flows.ListFlows(asked, timeout=LOOK_SECONDS)
    yield Look(bool(listed.flows), f"{len(listed.flows)} flows", "the installation holds no flows; install it again")
    for problem in listed.problems:
        text = f"{problem.path}:{problem.line}: {problem.text}"
        yield Look(good=False, text=text, advice=f"conductor validate {problem.path}")
    hosts = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=LOOK_SECONDS).hosts
    yield Look(bool(hosts), f"{len(hosts)} hosts configured", "conductor serve --host NAME=ADDRESS")
    for host in hosts:
        ready = host.state == pool_service_pb2.Host.STATE_READY
        text = "\n".join([host_line(host).removeprefix("✔ ").removeprefix("✘ "), *agent_lines(host)])
        yield Look(ready, text, "is it running?  agenthost serve …   what is wrong there:  agenthost doctor")
