"""The commands `agenthost agents …`."""

import os
import shutil
import sys
from pathlib import Path

import click

FOLDERS = click.option(
    "--agents-dir",
    "agents_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Directory with agents' spec files; repeatable.",
)
PREFIX = click.option(
    "--prefix",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where installed agents are.  [default: $AGENTHOST_AGENTS, else ~/.local/share/agenthost/agents]",
)
CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The host's TOML file, for the models in it.",
)


@click.group()
def agents() -> None:
    """List, install, check and remove the agents of this machine."""


@agents.command("list")
@FOLDERS
@PREFIX
@click.option("--markdown", is_flag=True, help="Print those that can be installed as a table for documents.")
def list_agents(agents_dirs: tuple[Path, ...], prefix: Path | None, *, markdown: bool) -> int:
    """List every agent, installed or not."""
    import asyncio

    from agenthost.agent_specs import find_agents
    from agenthost.catalogue.listing import listing, table

    _use(prefix)
    found = asyncio.run(find_agents(tuple(folder.absolute() for folder in agents_dirs)))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    click.echo(table(found) if markdown else listing(found, width))
    return 0


@agents.command()
@click.argument("name")
@PREFIX
def install(name: str, prefix: Path | None) -> int:
    """Install the agent NAME with npm, pinned and by hash; no script of a package runs."""
    import asyncio

    from agenthost.packages import npm

    _use(prefix)
    _require_packaged(name)
    folder = asyncio.run(npm.install(name))
    click.echo(f"{name} is installed in {folder}")
    click.echo(f"  check it, then restart the host:  agenthost agents check {name}")
    return 0


@agents.command()
@click.argument("name")
@PREFIX
def remove(name: str, prefix: Path | None) -> int:
    """Remove the packages of the agent NAME."""
    import asyncio

    from agenthost.packages import npm

    _use(prefix)
    _require_packaged(name)
    was_there = asyncio.run(npm.remove(name))
    click.echo(f"{name} is removed; restart the host" if was_there else f"{name} is not installed")
    return 0


@agents.command()
@click.argument("name")
@FOLDERS
@PREFIX
@CONFIG
def check(name: str, agents_dirs: tuple[Path, ...], prefix: Path | None, config: Path | None) -> int:
    """Check the agent NAME, or a spec file: its fields, its needs, its sandbox, and what a hostile model gets it to do."""
    import asyncio

    from agenthost.catalogue.check import check_agent
    from servicekit.logs import configure_logs

    configure_logs("plain", "warning")
    _use(prefix)
    return asyncio.run(check_agent(name, tuple(folder.absolute() for folder in agents_dirs), config, click.echo))


def _use(prefix: Path | None) -> None:
    """Lets the option count for everything in this process, as the variable would."""
    from agenthost.packages.prefix import VARIABLE

    if prefix is not None:
        os.environ[VARIABLE] = str(prefix.absolute())


def _require_packaged(name: str) -> None:
    from agenthost.packages.prefix import packaged

    if name not in packaged():
        raise click.UsageError(f"{name} is not one that can be installed; there are {', '.join(packaged())}")
