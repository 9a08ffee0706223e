"""Runs the commands of a host. A command imports what it needs when it is called, so that `agenthost --help` is instant.

Every error becomes a sentence on stderr, never a traceback, and an exit code: 1 when the host cannot run as asked, 2 for wrong
usage.
"""

import contextlib
import sys
from pathlib import Path

import click

from agenthost.catalogue.commands import agents
from agenthost.errors import StatusError
from servicekit.printing.commands import CommandGroup, run_command
from servicekit.printing.output_lost import OutputLostError
from servicekit.printing.page import say, to_its_end
from servicekit.printing.tls_options import tls_options

FAILED = 1

_DIRECTORY = click.Path(path_type=Path)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="conductor-agenthost")
def group() -> None:
    """Run agents as sandboxed, strictly read-only processes, for a conductor."""


@group.command()
@click.option("--listen", metavar="ADDRESS", help="HOST:PORT (port 0: any) or unix:PATH; beyond loopback it needs TLS.")
@click.option("--data", type=_DIRECTORY, metavar="DIR", help="Directory for attempts and snapshots; one host each.")
@click.option("--name", help="What this host is called.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Flows and runs choose hosts by it, as [labels]; repeatable.",
)
@click.option("--slots", type=int, help="How many agents run at once.  [default: twice the processors]")
@click.option(
    "--agents-dir", "agents_dirs", multiple=True, type=_DIRECTORY, help="Directory with agents' spec files; repeatable."
)
@click.option("--model", metavar="URL", help="OpenAI-compatible endpoint for the agent `reader`, as [models.default].")
@click.option(
    "--model-name", metavar="NAME", help="Model to ask for there.  [default: the first that it lists and that can chat]"
)
@click.option("--key-env", metavar="NAME", help="Variable of the environment that holds the key of --model.")
@click.option("--metrics", metavar="ADDRESS", help="Serve metrics for Prometheus at http://ADDRESS/metrics.")
@click.option(
    "--announce",
    is_flag=True,
    default=None,
    help="Announce this host on the network: conductor hosts discover. Needs an extra.",
)
@tls_options
@click.option("--config", type=_DIRECTORY, metavar="FILE", help="TOML file with these settings and [limits].")
@click.option("--log-format", type=click.Choice(["plain", "json"]), help="How to write the log.  [default: plain]")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much.  [default: info]"
)
@click.option(
    "--end-agents-on-stop", is_flag=True, default=None, help="End the agents at SIGTERM, too; Ctrl-C always does."
)
@click.option("--until-eof", is_flag=True, hidden=True, help="Stop also when stdin ends, and end the agents.")
def serve(config: Path | None, *, until_eof: bool, **flags: object) -> int:
    """Serve this host until SIGTERM or Ctrl-C.

    SIGTERM is for restarts: agents go on, and the next host on the same --data takes them up. Ctrl-C (SIGINT) ends them.
    """
    import asyncio

    from servicekit.runtime.lean_imports import lean_imports

    with lean_imports():
        from agenthost.app import serve as serve_host
    from agenthost.config import load_settings, require_descriptors
    from agenthost.host.state import Host
    from servicekit.logs import configure_logs
    from servicekit.runtime.memory import limit_arenas
    from servicekit.runtime.process import stop_at_end_of, take_descriptors

    given = {name: value for name, value in flags.items() if value not in {None, ()}}
    if until_eof:
        given["end_agents_on_stop"] = True  # the program that started this host must find nothing left of it
    settings = load_settings(config, given)
    limit_arenas()
    configure_logs(settings.log_format, settings.log_level)
    require_descriptors(take_descriptors())
    if until_eof:
        stop_at_end_of(sys.stdin.fileno())

    def announce(target: str, host: Host) -> None:
        if settings.log_format == "json":
            return  # stderr holds nothing but JSON then; the event host_started says the same
        usable = [name for name, agent in host.agents.items() if host.shown(agent).available]
        with contextlib.suppress(OutputLostError):
            say(f"agenthost {settings.name} serves {target} (agents: {', '.join(usable)})", err=True)

    asyncio.run(serve_host(settings, announce))
    return 0


@group.command()
@click.option(
    "--agents-dir", "agents_dirs", multiple=True, type=_DIRECTORY, help="Directory with agents' spec files; repeatable."
)
@click.option("--config", type=_DIRECTORY, metavar="FILE", help="The host's TOML file, for the models in it.")
def doctor(agents_dirs: tuple[Path, ...], config: Path | None) -> int:
    """Check whether agents can run here, and say what to do where they cannot."""
    import asyncio

    from agenthost.doctor import examine

    return to_its_end(lambda tell: asyncio.run(examine(agents_dirs, tell, config)))


@group.command()
@click.argument("bundle", metavar="FILE", type=_DIRECTORY)
@click.option("--data", type=_DIRECTORY, required=True, metavar="DIR", help="The host's data directory.")
def join(bundle: Path, data: Path) -> int:
    """Join a pool by the bundle FILE, which `conductor certs host` made; or renew this host's certificate by a new one."""
    from agenthost.joining import join_pool

    return join_pool(bundle, data)


group.add_command(agents)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    return run_command(group, "agenthost", arguments, _told)


def _told(error: Exception) -> tuple[str, int] | None:
    if not isinstance(error, StatusError):
        return None
    return "\n  ".join([f"agenthost: {error}", *error.hint.splitlines()]), FAILED


if __name__ == "__main__":
    sys.exit(main())
