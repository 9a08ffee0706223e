"""`conductor hosts discover`: lists hosts that announce themselves on this machine's networks. It adds nothing."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import completed
from servicekit.printing.page import put_json, say
from servicekit.printing.terminal_text import column

if TYPE_CHECKING:
    from servicekit.discovery.announcement import Announcement

LONGEST_SECONDS = 60.0


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(0.1, LONGEST_SECONDS), default=3.0, show_default=True, help="How long to listen."
)
@click.option(
    "--interface",
    "interfaces",
    multiple=True,
    metavar="ADDRESS",
    help="This machine's address on the network; repeatable.",
)
@click.pass_obj
def discover(context: Context, seconds: float, interfaces: tuple[str, ...]) -> None:
    """List hosts that announce themselves (agenthost serve --announce), with address, pool and fingerprint. Adds nothing."""
    found = _browse(seconds, interfaces)
    for host in found:
        if context.is_json:
            put_json(asdict(host))
        else:
            for line in announced_lines(host):
                say(line)
    if not found and not context.is_json:
        say("no host announces itself here; start one so:  agenthost serve --announce", err=True)


def announced_lines(host: "Announcement") -> list[str]:
    """Returns a line with name, address and pool, one with the certificate's fingerprint, and how to add the host."""
    pool = f"pool {host.pool}" if host.pool else "without TLS"
    first = f"{column(host.name, 12)}  {', '.join(host.addresses)}  {pool}"
    told = [f"    certificate {host.fingerprint}"] if host.fingerprint else []
    return [first, *told, completed(f"    add it:  conductor hosts add {host.name} {host.addresses[0]}")]


def _browse(seconds: float, interfaces: tuple[str, ...]) -> "list[Announcement]":
    try:
        from servicekit.discovery.browsing import browse
    except ImportError as error:
        lines = ("install it:  pip install 'conductor-agenthost[discovery]'",)
        raise CommandError("looking for hosts needs the library zeroconf", lines=lines) from error
    try:
        return browse(seconds, interfaces)
    except (OSError, ValueError, RuntimeError) as error:
        where = f" at {', '.join(interfaces)}" if interfaces else ""
        raise CommandError(f"cannot listen for announcements{where}: {error}") from error
