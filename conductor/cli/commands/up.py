"""`conductor up`: a conductor and one agent host in this terminal, for one machine and its own model."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from conductor.cli.connection import connected
from conductor.cli.local_data import ask
from conductor.cli.local_services import LOGS, host_socket, locked, service_options, start_local
from conductor.cli.main import Context
from conductor.cli.services import Services, last_logs, services_in, stop_on_terminate, wait_for_hosts, wait_for_models
from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.cli.views.hosts import say_host
from conductor.cli.views.models import choice_line
from conductor.v1 import pool_service_pb2
from servicekit.printing.page import say
from servicekit.printing.terminal_text import printable
from servicekit.runtime.process import user_folder

QUICK_SECONDS = 0.5
PAUSE_SECONDS = 0.2
ENDPOINTS = (
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
    ("vLLM", "http://127.0.0.1:8000/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
)


@click.command()
@service_options
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory whose .conductor/ holds flows and personas.",
)
@click.option(
    "--listen", metavar="ADDRESS", help="Address of the conductor.  [default: CONDUCTOR_ADDRESS, or 127.0.0.1:7410]"
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder for all data.  [default: XDG_STATE_HOME, or ~/.local/state]"
)
@click.pass_obj
def up(context: Context, /, listen: str | None, data: Path | None, **options: Any) -> int:
    """Run a conductor and one agent host until Ctrl-C. With --model, agents can think."""
    folder = (Path(os.path.expanduser(data)) if data else _state_home()).absolute()  # noqa: PTH111 - Path's may raise
    address = listen or context.address
    _refuse_second(address)
    stop_on_terminate()
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        services = stack.enter_context(services_in(folder / LOGS))
        say("starting a conductor and an agent host …", err=True)
        start_local(services, folder, address=address, socket=host_socket(folder, stack), options=options)
        try:
            with connected(address) as connection:
                wait_for_hosts(connection.pool, services)
                say(f"✔ conductor  {printable(address)}  data in {printable(str(folder / 'conductor'))}")
                hosts = _say_hosts(connection.pool, services, options["model"])
            _say_next(address, context, hosts)
            _wait(services)
        except KeyboardInterrupt:
            say("\nstopping …", err=True)
    return 0


def _state_home() -> Path:
    folder = user_folder("XDG_STATE_HOME", ".local/state")
    if folder is None:
        raise CommandError(
            "this user has no home folder", lines=("name a folder for all data:  conductor up --data DIR",)
        )
    return folder


def _refuse_second(address: str) -> None:
    """Raises a CommandError where a conductor answers already: two would only get in each other's way."""
    if ask(address, QUICK_SECONDS) is not None:
        lines = ("use it:  conductor run …", "or start another:  conductor up --listen ADDRESS --data DIR")
        raise CommandError(f"a conductor is running at {address} already", lines=lines, code=RUN_FAILED)


def _say_hosts(pool: Any, services: Services, model: str | None) -> list[pool_service_pb2.Host]:
    """Prints and returns the hosts once their models have answered, or have not; says what to type where there is no model."""
    hosts = wait_for_models(pool, services)
    for host in hosts:
        say_host(host, with_agents=True)
        _say_choices(host, model)
    if model is None and not any(host.models for host in hosts):
        say("no model: the agents that think need one, any of these for example", err=True)
        for name, url in ENDPOINTS:
            say(f"  {f'{name}:':<10}  conductor up --model {url}", err=True)
        say("  hosted:     conductor up --model https://HOST/v1 --model-name NAME --key-env VARIABLE", err=True)
    return hosts


def _say_choices(host: pool_service_pb2.Host, model: str | None) -> None:
    """Says which of the models that an endpoint lists is asked, where nothing names one."""
    for each in host.models:
        is_of_option = model is not None and each.name == "default"
        remedy = "--model-name NAME" if is_of_option else f"model = 'NAME' in [models.{printable(each.name)}]"
        if line := choice_line(each, remedy):
            say(line, err=True)


def _say_next(address: str, context: Context, hosts: Sequence[pool_service_pb2.Host]) -> None:
    option = "" if address == context.address else f" --address {address}"
    say("", err=True)
    if any(each.problem and not each.answers for host in hosts for each in host.models):
        say("first, make the model answer: start its server, or stop here and correct --model or its key", err=True)
    say("in another terminal", err=True)
    if any(host.models for host in hosts):
        say(f'  ask:   conductor{option} run ask . --question "…"', err=True)
    say(f"  look:  conductor{option} run survey .", err=True)
    say("stop:  Ctrl-C", err=True)


def _wait(services: Services) -> None:
    """Waits until Ctrl-C; raises a CommandError when a service ends by itself."""
    while not (ended := services.ended()):
        time.sleep(PAUSE_SECONDS)
    lines = (*last_logs(services.folder, ended), f"the logs are in {services.folder}")
    raise CommandError(f"the service '{ended}' ended by itself", lines=lines, code=RUN_FAILED)
