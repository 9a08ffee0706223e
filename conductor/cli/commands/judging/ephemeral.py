"""`conductor run --ephemeral`: a conductor and an agent host for one run, stopped at its end."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from conductor.cli.commands.flows import project_of, read_flow
from conductor.cli.commands.requests import is_file
from conductor.cli.connection import connected
from conductor.cli.local_services import LOGS, are_given, host_socket, locked, start_local, temporary_folder
from conductor.cli.main import Context
from conductor.cli.services import services_in, stop_on_terminate, wait_for_models
from conductor.cli.text.failure import CommandError
from servicekit.printing.page import say


@contextmanager
def private_conductor(context: Context, flow: str, options: Mapping[str, Any]) -> Iterator[Context]:
    """Starts a conductor and a host, yields the context that reaches them, and stops them.

    Their data is in the folder of `--data`, laid out as by `conductor up`, or in a temporary one, which is removed.
    """
    project = options["project"] or (project_of(Path(flow)) if is_file(flow) else None)
    if is_file(flow):
        read_flow(Path(flow), project)  # before anything is started: a file that is no flow is told at once
    stop_on_terminate()
    context.token = ""  # of another conductor; this one knows no tokens
    with ExitStack() as stack:
        place = stack.enter_context(temporary_folder("conductor-run-"))
        folder = Path(os.path.expanduser(options["data"])).absolute() if options["data"] else place  # noqa: PTH111
        stack.enter_context(locked(folder))
        services = stack.enter_context(services_in(folder / LOGS))
        address = f"unix:{place}/conductor.sock"
        say("starting a conductor and an agent host …", err=True)
        start_local(
            services,
            folder,
            address=address,
            socket=host_socket(folder, stack),
            options={**options, "project": project},
        )
        with connected(address) as connection:
            wait_for_models(connection.pool, services)
        yield Context(address=address, output=context.output)


def kept_where(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what to type to look at the run again."""
    if not options["data"]:
        return ("nothing is kept of this run; to look at it later:  conductor run … --ephemeral --data DIR",)
    folder = shlex.quote(str(options["data"]))
    return (f"look at it again:  conductor up --data {folder}", "then:              conductor show last")


def refuse_stray(options: Mapping[str, Any]) -> None:
    """Raises a CommandError for options of a service that is not started here."""
    stray = [*are_given(options), *(["--data"] if options["data"] else [])]
    if stray:
        raise CommandError(
            f"{stray[0]} is for a conductor that the command starts itself",
            lines=("start one for this run:  conductor run … --ephemeral",),
        )
