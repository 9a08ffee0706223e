"""`conductor agents`: the agents of all hosts, with their models and trials."""

import click

from conductor.cli.commands.pool.hosts import list_hosts
from conductor.cli.connection import connected
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import say_next
from conductor.cli.views.hosts import AGENT_INDENT
from conductor.cli.views.models import agents_over
from conductor.cli.views.view import as_json
from conductor.v1 import pool_service_pb2
from servicekit.printing.page import put, say

Host = pool_service_pb2.Host
NAME_INDENT = 14


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.pass_obj
def agents(context: Context, name: str | None) -> None:
    """List agents over all hosts, with model and last trial, or show what a hostile model got the one called NAME to do."""
    with connected(context.address) as connection:
        found = list_hosts(connection)
    hosts = [_with_only(host, name) for host in found if name is None or _has(host, name)]
    lines = agents_over(hosts, name)
    for host in hosts if context.is_json else ():
        put(as_json(host))
    for line in () if context.is_json else lines:
        say(line, AGENT_INDENT if line.startswith(" ") else NAME_INDENT)
    if name is not None and not lines:
        raise CommandError(f"no host has an agent '{name}'; those that there are:  conductor agents")
    if not lines and not context.is_json:
        say_next("no agents: no host has connected; look at them:  conductor hosts", err=True)


def _has(host: Host, name: str) -> bool:
    return any(agent.name == name for agent in host.agents)


def _with_only(host: Host, name: str | None) -> Host:
    """Returns the host without its other agents, where one is asked for."""
    if name is not None:
        chosen = [agent for agent in host.agents if agent.name == name]
        del host.agents[:]
        host.agents.extend(chosen)
    return host
