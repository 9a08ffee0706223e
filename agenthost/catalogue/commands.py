"""The commands `agenthost agents …`."""

import os
from pathlib import Path

import click

from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put, say, to_its_end

INDENT = 4
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
@click.option(
    "--markdown", is_flag=True, help="Print those that can be installed, and the analyzers, as tables for documents."
)
def list_agents(agents_dirs: tuple[Path, ...], prefix: Path | None, *, markdown: bool) -> int:
    """List every agent, installed or not."""
    import asyncio

    from agenthost.agent_specs import find_agents
    from agenthost.catalogue.listing import HEADINGS, listing, table, table_of_analyzers

    _use(prefix)
    found = asyncio.run(find_agents(tuple(folder.absolute() for folder in agents_dirs)))
    if markdown:
        put(f"{table(found)}\n\n{table_of_analyzers(found)}")
        return 0
    heading, *lines = listing(found)
    for line in (heading, *lines):
        # What does not fit a row stays in its last column.
        say(line, INDENT if line.startswith(" ") else heading.index(HEADINGS[-1]))
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
    with verdict(0):
        say(f"{name} is installed in {folder}")
        say(f"  check it, then restart the host:  agenthost agents check {name}")
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
    with verdict(0):
        say(f"{name} is removed; restart the host" if was_there else f"{name} is not installed")
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
    folders = tuple(folder.absolute() for folder in agents_dirs)
    return to_its_end(lambda tell: asyncio.run(check_agent(name, folders, config, tell)))


def _use(prefix: Path | None) -> None:
    """Lets the option count for everything in this process, as the variable would."""
    from agenthost.packages.prefix import VARIABLE

    if prefix is not None:
        os.environ[VARIABLE] = str(prefix.absolute())


def _require_packaged(name: str) -> None:
    from agenthost.agent_specs import BUILT_IN
    from agenthost.packages.prefix import packaged
    from agenthost.sandbox.analyzers import TO_HAVE_ANALYZERS

    if name not in packaged():
        is_analyzer = any((BUILT_IN / f"{name}{ending}").is_file() for ending in (".toml", ".agent.toml"))
        hint = f"; what ships and needs a program comes by:  {TO_HAVE_ANALYZERS}" if is_analyzer else ""
        raise click.UsageError(f"{name} is not one that can be installed; there are {', '.join(packaged())}{hint}")
