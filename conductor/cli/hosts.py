"""`conductor hosts`: the machines that agents run on, and what each of them offers."""

import click

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.terminal_text import one_line, printable
from conductor.cli.views import as_json
from conductor.v1 import pool_service_pb2

Host = pool_service_pb2.Host


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.pass_obj
def hosts(context: Context, name: str | None) -> None:
    """List agent hosts, or show the one called NAME with its agents."""
    with connected(context.address) as connection:
        if name is not None:
            full = name if name.startswith("hosts/") else f"hosts/{name}"
            host = connection.pool.GetHost(pool_service_pb2.GetHostRequest(name=full), timeout=CALL_SECONDS)
            click.echo(as_json(host) if context.is_json else "\n".join([host_line(host), *agent_lines(host)]))
            return
        answer = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=CALL_SECONDS)
        for host in answer.hosts:
            click.echo(as_json(host) if context.is_json else host_line(host))
        if not answer.hosts and not context.is_json:
            click.echo("no hosts; give the conductor some:  conductor serve --host NAME=ADDRESS", err=True)


def host_line(host: Host) -> str:
    """`✔ alpha  ready  2 of 4 slots  bubblewrap 0.11.0  unix:/run/a.sock`."""
    glyph = "✔" if host.state == Host.STATE_READY else "✘"
    state = Host.State.Name(host.state).removeprefix("STATE_").lower()
    line = f"{glyph} {host.name.removeprefix('hosts/'):<12}  {state:<12}"
    if host.slots:
        line += f"  {host.running} of {host.slots} slots  {printable(host.sandbox_mechanism)}"
    line += f"  {printable(host.address)}"
    return f"{line}\n    {one_line(host.problem, 300)}" if host.problem else line


def agent_lines(host: Host) -> list[str]:
    """A line an agent: usable or not, and why not."""
    lines = []
    for agent in host.agents:
        glyph = "✔" if agent.available else "✘"
        text = agent.description if agent.available else agent.unavailable_reason
        lines.append(f"  {glyph} {printable(agent.name):<12}  {printable(agent.version):<10}  {one_line(text, 120)}")
    return lines
