"""`conductor up`: a conductor and one agent host in this terminal, for one machine and its own model."""

import fcntl
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError

import click

from conductor.cli.commands.hosts import say_host
from conductor.cli.connection import connected
from conductor.cli.local_data import ask
from conductor.cli.main import Context
from conductor.cli.services import Services, last_logs, services_in, stop_on_terminate, wait_for_hosts
from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.cli.text.terminal_text import one_line, printable
from conductor.cli.views.page import say

HOST = "local"
LONGEST_SOCKET_BYTES = 80
LOOK_SECONDS = 5.0
QUICK_SECONDS = 0.5
PAUSE_SECONDS = 0.2
SHOWN_MODELS = 8
NAME_WIDTH = 80
MAX_ANSWER_BYTES = 1024 * 1024
ENDPOINTS = (
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
    ("vLLM", "http://127.0.0.1:8000/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--model", metavar="URL", help="OpenAI-compatible endpoint for the agent `reader`.")
@click.option("--model-name", metavar="NAME", help="Model to ask for there.  [default: the first that it lists]")
@click.option("--config", type=_FILE, help="The host's TOML file: models with keys, limits.")
@click.option("--agents-dir", "agents_dirs", multiple=True, type=_FOLDER, help="Agents' spec files; repeatable.")
@click.option("--project", type=_FOLDER, help="Directory whose .conductor/ holds flows and personas.")
@click.option(
    "--listen", metavar="ADDRESS", help="Address of the conductor.  [default: CONDUCTOR_ADDRESS, or 127.0.0.1:7410]"
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder for all data.  [default: $XDG_STATE_HOME]")
@click.pass_obj
def up(context: Context, /, model: str | None, listen: str | None, data: Path | None, **more: Any) -> int:
    """Run a conductor and one agent host until Ctrl-C. With --model, agents can think."""
    folder = (data or _state_home()).expanduser().absolute()
    address = listen or context.address
    _refuse_second(address)
    logs = folder / "conductor-up"
    stop_on_terminate()
    with ExitStack() as stack:
        stack.enter_context(_made(logs))
        services = stack.enter_context(services_in(logs))
        socket = f"unix:{_socket(folder, stack)}"
        click.echo("starting a conductor and an agent host …", err=True)
        _start(
            services,
            folder,
            address=address,
            socket=socket,
            options=_host_options(model, more),
            project=more["project"],
        )
        try:
            with connected(address) as connection:
                hosts = wait_for_hosts(connection.pool, services)
                say(f"✔ conductor  {printable(address)}  data in {printable(str(folder / 'conductor'))}")
                for host in hosts:
                    say_host(host, with_agents=True)
            _say_model(model)
            _say_next(address, context)
            _wait(services)
        except KeyboardInterrupt:
            click.echo("\nstopping …", err=True)
    return 0


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def _made(logs: Path) -> IO[bytes]:
    """Makes the folder and returns its lock: a second `up` would write into the logs of the first."""
    try:
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (logs / "lock").open("wb")
    except OSError as error:
        raise CommandError(f"--data: {logs} cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        line = "start another:  conductor up --listen ADDRESS --data DIR"
        raise CommandError(f"another 'conductor up' uses {logs.parent}", lines=(line,), code=RUN_FAILED) from error
    return lock


def _socket(folder: Path, stack: ExitStack) -> Path:
    """Returns a path for the host's socket; a unix socket's path holds 107 bytes, and a host makes some below its data."""
    usual = folder / "agenthost.sock"
    if len(os.fsencode(usual)) <= LONGEST_SOCKET_BYTES:
        return usual
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conductor-up-")), "agenthost.sock")


def _refuse_second(address: str) -> None:
    """Raises a CommandError where a conductor answers already: two would only get in each other's way."""
    if ask(address, QUICK_SECONDS) is not None:
        lines = ("use it:  conductor run …", "or start another:  conductor up --listen ADDRESS --data DIR")
        raise CommandError(f"a conductor is running at {address} already", lines=lines, code=RUN_FAILED)


def _host_options(model: str | None, more: Mapping[str, Any]) -> list[str]:
    named = (("--model", model), ("--model-name", more["model_name"]), ("--config", more["config"]))
    options = [word for name, value in named if value for word in (name, str(value))]
    return options + [word for folder in more["agents_dirs"] for word in ("--agents-dir", str(folder))]


def _start(
    services: Services, folder: Path, *, address: str, socket: str, options: Sequence[str], project: Path | None
) -> None:
    host = ("--listen", socket, "--data", str(folder / "agenthost"), "--name", HOST)
    services.start("agenthost.cli", "agenthost", *host, *options)
    conductor = ["--listen", address, "--data", str(folder / "conductor"), "--host", f"{HOST}={socket}"]
    conductor += ["--project", str(project)] if project else []
    services.start("conductor.cli", "conductor", *conductor)


def _say_model(model: str | None) -> None:
    if model is None:
        say("no model: the agents that think need one, any of these for example", err=True)
        for name, url in ENDPOINTS:
            say(f"  {name:<10} conductor up --model {url}", err=True)
        return
    names, trouble = _models(model)
    if trouble:
        say(f"✘ model  {printable(model)}  does not answer: {printable(trouble)}", err=True)
        return
    more = f" and {len(names) - SHOWN_MODELS} more" if len(names) > SHOWN_MODELS else ""
    shown = ", ".join(one_line(name, NAME_WIDTH) for name in names[:SHOWN_MODELS])
    say(f"✔ model  {printable(model)}  {shown}{more}")


def _models(url: str) -> tuple[list[str], str]:
    """Returns the models that the endpoint lists, or why it lists none."""
    base = url.rstrip("/")
    listing = f"{base}/models" if base.endswith("/v1") else f"{base}/v1/models"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(listing, timeout=LOOK_SECONDS) as answer:
            listed = json.loads(_read(answer))
        # A lone surrogate, which JSON can name, is nothing that a terminal could show.
        return [str(one["id"]).encode(errors="replace").decode() for one in listed["data"]], ""
    except URLError as error:
        return [], str(error.reason)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, HTTPException) as error:
        return [], f"it lists no models ({type(error).__name__})"


def _read(answer: Any) -> bytes:
    """Reads an answer as it comes; raises TimeoutError where a drip would take longer than LOOK_SECONDS."""
    deadline, data = time.monotonic() + LOOK_SECONDS, b""
    while piece := answer.read1(MAX_ANSWER_BYTES - len(data)):
        data += piece
        if time.monotonic() > deadline:
            raise TimeoutError
    return data


def _say_next(address: str, context: Context) -> None:
    option = "" if address == context.address else f" --address {address}"
    say(f'\nask:   conductor{option} run ask . --question "…"', err=True)
    say(f"look:  conductor{option} run survey .", err=True)
    say("stop:  Ctrl-C", err=True)


def _wait(services: Services) -> None:
    """Waits until Ctrl-C; raises a CommandError when a service ends by itself."""
    while not (ended := services.ended()):
        time.sleep(PAUSE_SECONDS)
    lines = (*last_logs(services.folder), f"the logs are in {services.folder}")
    raise CommandError(f"the service '{ended}' ended by itself", lines=lines, code=RUN_FAILED)
