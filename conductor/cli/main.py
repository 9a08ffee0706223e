"""The group of all commands. Each is imported when it is called, so that `conductor --help` is instant.

Ends of a command are exceptions of `conductor.cli.text.failure`; here alone they become text on stderr and an exit code.
"""

import importlib
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from conductor.cli.text.failure import CommandError
from conductor.cli.tls import TlsChoice
from servicekit.printing.commands import CommandGroup, run_command
from servicekit.printing.streams import as_text, is_utf8

# Name of a command -> its module below `conductor.cli`, the object there, and its line in the overview.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("run", "run", "Start a flow over a directory, follow it, and show its report."),
    "plan": ("launching.plan", "plan", "Show what `run` would do, and start nothing."),
    "watch": ("run", "watch", "Follow a run, from its beginning or from where you left."),
    "runs": ("runs", "runs", "List runs, newest first."),
    "show": ("show", "show", "Show a run, or one of its steps with prompt and answer."),
    "report": ("reading", "report", "Print a run's report."),
    "findings": ("judging.findings", "findings", "List the findings of a run."),
    "diff": ("judging.comparison", "diff", "Compare the findings of two runs."),
    "baseline": ("judging.baseline", "baseline", "Dismiss the findings of a run: only new ones count."),
    "output": ("reading", "output", "Print what an agent said."),
    "retry": ("launching.again", "retry", "Run again what failed of a run; keep the rest."),
    "rerun": ("launching.again", "rerun", "Ask the same as a run again, of the present tree."),
    "cancel": ("runs", "cancel", "Stop a run."),
    "pause": ("runs", "pause", "Let no further agent of a run begin."),
    "resume": ("runs", "resume", "Let a paused run go on."),
    "gates": ("gates", "gates", "List the gates that wait for your decision."),
    "approve": ("gates", "approve", "Let the work at a gate go on."),
    "reject": ("gates", "reject", "Reject a gate: its step fails."),
    "delete": ("upkeep.deletion", "delete", "Delete runs that have ended."),
    "prune": ("upkeep.deletion", "prune", "Delete runs by age or size."),
    "flows": ("flows", "flows", "List flows, show one, or write a new one."),
    "init": ("starter", "init", "Write .conductor/ with a flow to begin with."),
    "validate": ("flows", "validate", "Check flow files; needs no server."),
    "hosts": ("pool.hosts", "hosts", "List hosts, show, add, remove or drain one."),
    "agents": ("pool.agents", "agents", "List agents over all hosts, or show one with its last trial."),
    "tokens": ("tokens", "tokens", "Make, list or revoke the tokens of callers."),
    "doctor": ("doctor", "doctor", "Look for what is wrong, and say what to do."),
    "backup": ("upkeep.backups", "backup", "Back up a conductor's data, running or not."),
    "migrate": ("upkeep.migrate", "migrate", "Move a conductor to another store, and keep its id."),
    "restore": ("upkeep.backups", "restore", "Restore a backup into a new data folder."),
    "handover": ("upkeep.handover", "handover", "Let another conductor of the same database take over, at once."),
    "store": ("upkeep.renewing", "store", "Give a restored PostgreSQL database a new id."),
    "certs": ("certs.group", "certs", "Issue the certificates of a pool on several machines."),
    "up": ("up", "up", "Run a conductor and one agent host on this machine."),
    "serve": ("serve", "serve", "Run the conductor."),
    "demo": ("demo", "demo", "Start everything, survey a directory, and stop everything."),
}
TOKEN_VARIABLE = "CONDUCTOR_TOKEN"  # noqa: S105 (its name)
DEFAULT_ADDRESS = "127.0.0.1:7410"
_ADDRESS = "The conductor; with commas between them, the conductors of one database."
OUTPUTS = ("auto", "plain", "json")

# Commands that ask no conductor: they know no --address.
WITHOUT_CONDUCTOR = frozenset({"init", "validate", "serve", "up", "demo", "restore", "certs", "store"})
# Commands that run services or write files, and print no result: they know no --output.
_WITHOUT_RESULT = frozenset({"init", "serve", "up"})


@dataclass(slots=True)
class Context:
    """The options that every command shares: where the conductor is, and how to print."""

    address: str
    output: str
    token: str = field(default="", repr=False)
    tls: TlsChoice = field(default_factory=TlsChoice)
    is_address_given: bool = True

    def take_address(self) -> None:
        """Takes the conductor's address out of the bundle, where no other is given."""
        if not self.is_address_given and self.tls.bundle and (tls := self.tls.read()) is not None and tls.address:
            self.address = tls.address

    @property
    def is_json(self) -> bool:
        """True where stdout takes one proto-JSON object a line."""
        return self.output == "json"

    @property
    def is_live(self) -> bool:
        """True where a person watches progress on a terminal; stdout may go to a file."""
        is_able = sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb" and is_utf8(sys.stderr)
        return self.output == "auto" and is_able


def _take_token(given: str) -> str:
    """Returns a token as calls bring it, and hides it from programs that this one starts."""
    os.environ.pop(TOKEN_VARIABLE, None)
    token = given.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise CommandError(
            "the token has characters that no token has; give it as `conductor tokens create` printed it"
        )
    return token


def _set_shared(ctx: click.Context, parameter: click.Parameter, given: str | None) -> None:
    """Lets an option after the command override the one before it."""
    if given is None or not isinstance(ctx.obj, Context) or parameter.name is None:
        return
    given = _take_token(given) if parameter.name == "token" else given
    setattr(ctx.obj.tls if parameter.name in _TLS_OPTIONS else ctx.obj, parameter.name, given)
    ctx.obj.is_address_given |= parameter.name == "address"
    if parameter.name == "bundle":
        ctx.obj.take_address()


_TLS_OPTIONS = {
    "bundle": "Your bundle: certificate, key and CA in one file, of `conductor certs client`.",
    "tls_ca": "CA that the conductor's certificate is of; with --token, or with the next two.",
    "tls_cert": "Your certificate.",
    "tls_key": "Its key.",
}


def _tls_options(**more: Any) -> list[click.Option]:
    return [
        click.Option([f"--{name.replace('_', '-')}"], metavar="FILE", help=text, **more)
        for name, text in _TLS_OPTIONS.items()
    ]


def _shared_options(command: str) -> list[click.Option]:
    """Returns the shared options for use after a command: both places are accepted."""
    address = click.Option(["--address"], expose_value=False, callback=_set_shared, help=_ADDRESS)
    token = click.Option(["--token"], expose_value=False, callback=_set_shared, help="Your token.")
    output = click.Option(
        ["--output"], type=click.Choice(OUTPUTS), expose_value=False, callback=_set_shared, help="How to print."
    )
    tls = _tls_options(expose_value=False, callback=_set_shared)
    options = [] if command in WITHOUT_CONDUCTOR else [address, token, *tls]
    return options if command in _WITHOUT_RESULT else [*options, output]


class LazyGroup(CommandGroup):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, D102
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002, D102
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(f"conductor.cli.commands.{module}"), attribute)
        for each in command.commands.values() if isinstance(command, click.Group) else (command,):
            known = {option for parameter in each.params for option in parameter.opts}
            each.params += [option for option in _shared_options(name) if not known.intersection(option.opts)]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002, D102
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--address", envvar="CONDUCTOR_ADDRESS", default=DEFAULT_ADDRESS, show_default=True, help=_ADDRESS)
@click.option("--bundle", metavar="FILE", envvar="CONDUCTOR_BUNDLE", default="", help=_TLS_OPTIONS["bundle"])
@click.option("--tls-ca", metavar="FILE", default="", help=_TLS_OPTIONS["tls_ca"])
@click.option("--tls-cert", metavar="FILE", default="", help=_TLS_OPTIONS["tls_cert"])
@click.option("--tls-key", metavar="FILE", default="", help=_TLS_OPTIONS["tls_key"])
@click.option("--token", envvar=TOKEN_VARIABLE, default="", help="Your token; better given as CONDUCTOR_TOKEN.")
@click.option("--output", type=click.Choice(OUTPUTS), default="auto", show_default=True, help="How to print.")
@click.version_option(package_name="conductor-agenthost")
@click.pass_context
def group(ctx: click.Context, /, address: str, token: str, output: str, **tls: str) -> None:
    """Ask hard questions of a codebase with a pool of read-only agents."""
    if output != "auto" and ctx.invoked_subcommand in _WITHOUT_RESULT:
        raise click.UsageError(f"{ctx.invoked_subcommand} prints no result, and takes no --output")
    try:
        ctx.obj = Context(address=as_text(address, "CONDUCTOR_ADDRESS"), output=output)
    except ValueError as error:
        raise CommandError(str(error)) from None
    token = _take_token(token)
    if ctx.invoked_subcommand not in WITHOUT_CONDUCTOR:
        ctx.obj.token = token
        ctx.obj.tls = TlsChoice(**tls)
        ctx.obj.is_address_given = ctx.get_parameter_source("address") is not ParameterSource.DEFAULT
        ctx.obj.take_address()


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    return run_command(
        group,
        "conductor",
        arguments,
        lambda error: (error.shown(), error.code) if isinstance(error, CommandError) else None,
    )
