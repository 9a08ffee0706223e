"""`conductor hosts` and `conductor agents`: the machines that agents run on, their agents and their models."""

import time
from collections.abc import Iterable

import click

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.names import short
from conductor.cli.text.wording import counted, elapsed
from conductor.cli.views.models import (
    agent_glyph,
    agents_over,
    is_to_install,
    model_lines,
    model_trouble,
    to_install_line,
)
from conductor.cli.views.pools import likeness_lines, pool_lines
from conductor.cli.views.view import as_json
from conductor.v1 import pool_service_pb2
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import column, one_line, printable

Host = pool_service_pb2.Host
# Where the text of an agent's line begins.
AGENT_INDENT = 30
NAME_INDENT = 14


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.pass_obj
def hosts(context: Context, name: str | None) -> None:
    """List agent hosts, or show the one called NAME with its agents."""
    with connected(context.address) as connection:
        if name is not None:
            full = name if name.startswith("hosts/") else f"hosts/{name}"
            host = connection.pool.GetHost(pool_service_pb2.GetHostRequest(name=full), timeout=CALL_SECONDS)
            if context.is_json:
                put(as_json(host))
            else:
                say_host(host, with_agents=True)
                _say_pools([host])
            return
        answer = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=CALL_SECONDS)
        for host in answer.hosts:
            if context.is_json:
                put(as_json(host))
            else:
                say_host(host)
        if not context.is_json:
            _say_pools(answer.hosts)
        if not answer.hosts and not context.is_json:
            say("no hosts; give the conductor some:  conductor serve --host NAME=ADDRESS", err=True)


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.pass_obj
def agents(context: Context, name: str | None) -> None:
    """List agents over all hosts, with model and last trial, or show what a hostile model got the one called NAME to do."""
    with connected(context.address) as connection:
        answer = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=CALL_SECONDS)
    hosts = [_with_only(host, name) for host in answer.hosts if name is None or _has(host, name)]
    lines = agents_over(hosts, name)
    for host in hosts if context.is_json else ():
        put(as_json(host))
    for line in () if context.is_json else lines:
        say(line, AGENT_INDENT if line.startswith(" ") else NAME_INDENT)
    if name is not None and not lines:
        raise CommandError(f"no host has an agent '{name}'; those that there are:  conductor agents")
    if not lines and not context.is_json:
        say("no agents: no host has connected; look at them:  conductor hosts", err=True)


def _has(host: Host, name: str) -> bool:
    return any(agent.name == name for agent in host.agents)


def _with_only(host: Host, name: str | None) -> Host:
    """Returns the host without its other agents, where one is asked for."""
    if name is not None:
        chosen = [agent for agent in host.agents if agent.name == name]
        del host.agents[:]
        host.agents.extend(chosen)
    return host


def _say_pools(hosts: Iterable[Host]) -> None:
    for line in (*pool_lines(hosts, time.time()), *likeness_lines(hosts)):
        say(line, 4)


def say_host(host: Host, *, with_agents: bool = False) -> None:
    """Prints a line about a host, what is wrong with it, and a line for each of its models and agents."""
    say(host_line(host))
    if host.problem:
        say(f"    {one_line(host.problem, 300)}")
    if host.attempts_of_earlier_instance:
        say(f"    {other_folder(host)}")
    for line in model_lines(host):
        say(line, AGENT_INDENT)
    for line in agent_lines(host) if with_agents else ():
        say(line, AGENT_INDENT)


def host_line(host: Host) -> str:
    """Returns `✔ alpha  ready  2 of 4 slots in use  bubblewrap 0.11.0  unix:/run/a.sock`."""
    glyph = "✔" if _answers(host) and not has_trouble(host) else "✘"
    state = Host.State.Name(host.state).removeprefix("STATE_").lower()
    line = f"{glyph} {column(short(host.name), 12)}  {state:<12}"
    if host.slots:
        line += f"  {host.running} of {counted(host.slots, 'slot')} in use  {printable(host.sandbox_mechanism)}"
    if host.labels:
        line += f"  {printable(', '.join(f'{name}={value}' for name, value in sorted(host.labels.items())))}"
    if host.HasField("disconnected_time"):
        line += f"  for {elapsed(time.time() - host.disconnected_time.ToNanoseconds() / 1e9)}"
    elif not host.HasField("last_seen_time"):
        line += "  never seen"
    return f"{line}  {printable(host.address)}"


def has_trouble(host: Host) -> bool:
    """Returns whether a host that answers needs a person: it names a problem, or attempts wait for its earlier folder."""
    return bool(host.problem or host.attempts_of_earlier_instance)


def other_folder(host: Host) -> str:
    """Returns `it came back with another data folder: 2 attempts wait for the one it had before`."""
    count = host.attempts_of_earlier_instance
    waits = "attempt waits" if count == 1 else "attempts wait"
    return f"it came back with another data folder: {count} {waits} for the one it had before"


def agent_lines(host: Host) -> list[str]:
    """Returns a line for each agent: usable, or why not; and one for all that are not installed."""
    lines = []
    for agent in host.agents:
        if is_to_install(agent):
            continue
        glyph = agent_glyph(agent, host)
        text = agent.unavailable_reason or model_trouble(agent, host) or agent.description
        lines.append(f"    {glyph} {column(agent.name, 12)}  {column(agent.version, 8)}  {one_line(text, 200)}")
    missing = to_install_line(agent.name for agent in host.agents if is_to_install(agent))
    return [*lines, *(f"    {line}" for line in missing)]


def _answers(host: Host) -> bool:
    return host.state in (Host.STATE_READY, Host.STATE_DRAINING)
