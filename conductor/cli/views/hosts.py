"""Says in lines what is known of a host: its state, its drain, its agents and what is wrong with it."""

import time
from collections.abc import Iterator

from conductor.cli.text.following import completed
from conductor.cli.text.names import short
from conductor.cli.text.wording import counted, elapsed
from conductor.cli.views.models import agent_glyph, is_to_install, model_lines, model_trouble, to_install_lines
from conductor.v1 import pool_service_pb2
from servicekit.printing.page import say
from servicekit.printing.terminal_text import column, one_line, printable

Host = pool_service_pb2.Host
# Where the text of an agent's line begins.
AGENT_INDENT = 30
# A certificate that ends sooner is worth a line.
SOON_SECONDS = 14 * 86_400.0

_SOURCES = {Host.SOURCE_CONFIGURATION: "configured", Host.SOURCE_STORED: "added"}


def say_host(host: Host, *, with_agents: bool = False) -> None:
    """Prints a line about a host, what is wrong with it, and a line for each of its models and agents."""
    say(host_line(host))
    for line in remarks(host, time.time()):
        say(f"    {line}")
    for line in model_lines(host):
        say(line, AGENT_INDENT)
    for line in agent_lines(host) if with_agents else ():
        say(line, AGENT_INDENT)


def host_line(host: Host) -> str:
    """Returns `✔ alpha  ready  2 of 4 slots in use  3 queued  bubblewrap 0.11.0  gpu=yes  unix:/run/a.sock  added`."""
    glyph = "✔" if answers(host) and not has_trouble(host) else "✘"
    parts = [f"{glyph} {column(short(host.name), 12)}", f"{_state(host):<12}"]
    if host.slots:
        parts.append(f"{host.running} of {counted(host.slots, 'slot')} in use")
        parts.append(f"{host.queued} queued" if host.queued else "")
        parts.append(printable(host.sandbox_mechanism))
    parts.append(printable(", ".join(f"{name}={value}" for name, value in sorted(host.labels.items()))))
    if host.HasField("disconnected_time"):
        parts.append(f"for {elapsed(time.time() - host.disconnected_time.ToNanoseconds() / 1e9)}")
    elif not host.HasField("last_seen_time"):
        parts.append("never seen")
    parts += [printable(host.address), _SOURCES.get(host.source, "")]
    return "  ".join(part for part in parts if part)


def _state(host: Host) -> str:
    """Returns the host's own state; `drained` in place of `ready` where the conductor starts nothing there."""
    if host.state == Host.STATE_READY and host.HasField("drain"):
        return "drained"
    return Host.State.Name(host.state).removeprefix("STATE_").lower()


def remarks(host: Host, now: float) -> Iterator[str]:
    """Yields what is wrong with a host, and what an operator has to know of it."""
    if host.problem:
        yield one_line(host.problem, 500)
    if host.attempts_of_earlier_instance:
        yield other_folder(host)
    if host.HasField("drain"):
        yield drain_line(host, now)
    if host.state == Host.STATE_DRAINING:
        yield "the host itself takes no new work, from any conductor"
    if host.HasField("certificate_end_time"):
        left = host.certificate_end_time.ToNanoseconds() / 1e9 - now
        if left <= SOON_SECONDS:
            yield f"{certificate_line(left)}; make another one:  conductor certs host {short(host.name)}"


def certificate_line(left: float) -> str:
    """Returns `its certificate ends in 82 d`."""
    return f"its certificate ends in {elapsed(left)}" if left > 0 else f"its certificate ended {elapsed(-left)} ago"


def drain_line(host: Host, now: float) -> str:
    """Returns `drained for 3 min by token:ci: nothing starts there, 2 agents go on`, or that the host is empty."""
    name, drain = short(host.name), host.drain
    by = f" by {one_line(drain.by, 80)}" if ":" in drain.by else ""  # a caller on this machine has no name
    since = elapsed(max(0.0, now - drain.since_time.ToNanoseconds() / 1e9))
    if host.running:
        rest = "1 agent goes on" if host.running == 1 else f"{host.running} agents go on"
    else:
        rest = "it is empty"
    back = completed(f"take it back:  conductor hosts undrain {name}")
    return f"drained for {since}{by}: nothing starts there, {rest}; {back}"


def has_trouble(host: Host) -> bool:
    """Returns whether a host that answers needs a person: it names a problem, or attempts wait for its earlier folder."""
    return bool(host.problem or host.attempts_of_earlier_instance)


def other_folder(host: Host) -> str:
    """Returns `it came back with another data folder: 2 attempts wait for the one it had before`."""
    count = host.attempts_of_earlier_instance
    waits = "attempt waits" if count == 1 else "attempts wait"
    return f"it came back with another data folder: {count} {waits} for the one it had before"


def fact_lines(host: Host, now: float) -> Iterator[str]:
    """Yields what only the page of one host shows: its software, its snapshots and its certificate."""
    if host.version:
        snapshots = counted(host.snapshots, "snapshot") if host.snapshots else "no snapshots"
        yield f"agenthost {one_line(host.version, 40)}  {snapshots} present"
    if host.HasField("certificate_end_time"):
        left = host.certificate_end_time.ToNanoseconds() / 1e9 - now
        if left > SOON_SECONDS:
            yield f"{certificate_line(left)}, at {host.certificate_end_time.ToDatetime():%Y-%m-%d %H:%M} UTC"


def agent_lines(host: Host) -> list[str]:
    """Returns a line for each agent: usable, or why not; and one for all that are not installed."""
    lines = []
    for agent in host.agents:
        if is_to_install(agent):
            continue
        glyph = agent_glyph(agent, host)
        text = agent.unavailable_reason or model_trouble(agent, host) or agent.description
        lines.append(f"    {glyph} {column(agent.name, 12)}  {column(agent.version, 8)}  {one_line(text, 200)}")
    missing = to_install_lines(agent for agent in host.agents if is_to_install(agent))
    return [*lines, *(f"    {line}" for line in missing)]


def answers(host: Host) -> bool:
    """Returns whether a host is connected."""
    return host.state in (Host.STATE_READY, Host.STATE_DRAINING)
