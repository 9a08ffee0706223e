"""A conductor and one agent host on this machine, for one user: where they keep their data, and which model they ask."""

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from click.core import ParameterSource

from conductor.cli.services import Services
from conductor.cli.text.failure import RUN_FAILED, CommandError
from servicekit.printing.page import say

HOST = "local"
# A unix socket's path holds 107 bytes, and a host makes some below its data.
LONGEST_SOCKET_BYTES = 80
LONGEST_PLACE = 24
TOLD_SECONDS = 3.0  # a folder that is removed sooner is not told
LOGS = "conductor-up"

_OF_THE_HOST = ("model_name", "key_env", "config")  # options that the host takes, too
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--model", metavar="URL", envvar="CONDUCTOR_MODEL", help="OpenAI-compatible endpoint for the agent `reader`."
    ),
    click.option(
        "--model-name",
        metavar="NAME",
        envvar="CONDUCTOR_MODEL_NAME",
        help="Model to ask for there.  [default: the first that it lists and that can chat]",
    ),
    click.option(
        "--key-env",
        metavar="NAME",
        envvar="CONDUCTOR_KEY_ENV",
        help="Variable of the environment that holds the key of --model.",
    ),
    click.option("--config", type=_FILE, help="The host's TOML file: models with keys, limits."),
    click.option("--agents-dir", "agents_dirs", multiple=True, type=_FOLDER, help="Agents' spec files; repeatable."),
)

Command = TypeVar("Command", bound=Callable[..., Any])


def service_options(command: Command) -> Command:
    """Adds the options of a conductor and a host that the command starts."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def are_given(options: Mapping[str, Any]) -> list[str]:
    """Returns the names of the service options that have a value from the command line."""
    names = ("model", *_OF_THE_HOST, "agents_dirs")
    return [f"--{name.replace('_', '-').replace('dirs', 'dir')}" for name in names if options[name] and _is_typed(name)]


def start_local(services: Services, folder: Path, *, address: str, socket: str, options: Mapping[str, Any]) -> None:
    """Starts a host and a conductor with their data below a folder."""
    host = ("--listen", socket, "--data", str(folder / "agenthost"), "--name", HOST)
    services.start("agenthost.cli", "agenthost", *host, *_host_options(options))
    conductor = ["--listen", address, "--data", str(folder / "conductor"), "--host", f"{HOST}={socket}"]
    conductor += ["--project", str(options["project"])] if options["project"] else []
    services.start("conductor.cli", "conductor", *conductor)


def _host_options(options: Mapping[str, Any]) -> Sequence[str]:
    model = options["model"]
    # Name and key of a model mean nothing without one, where a pipeline sets them for every job.
    named = [(name, options[name]) for name in _OF_THE_HOST if name == "config" or model or _is_typed(name)]
    words = ["--model", model] if model else []
    words += [word for name, value in named if value for word in (f"--{name.replace('_', '-')}", str(value))]
    return words + [word for folder in options["agents_dirs"] for word in ("--agents-dir", str(folder))]


def _is_typed(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def locked(folder: Path) -> IO[bytes]:
    """Makes the folder for the logs and returns its lock: a second command would write into the logs of the first."""
    logs = folder / LOGS
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
        raise CommandError(f"another 'conductor up' uses {folder}", lines=(line,), code=RUN_FAILED) from error
    return lock


def host_socket(folder: Path, stack: ExitStack) -> str:
    """Returns an address for the host below its folder, or in a folder of its own where that path is too long."""
    usual = folder / "agenthost.sock"
    if len(os.fsencode(usual)) > LONGEST_SOCKET_BYTES:
        usual = stack.enter_context(temporary_folder("conductor-up-")) / "agenthost.sock"
    return f"unix:{usual}"


@contextmanager
def temporary_folder(prefix: str, *, keep: bool = False) -> Iterator[Path]:
    """Yields a new folder with a short path, and removes it, or says where it is."""
    place = tempfile.gettempdir()
    short_place = place if len(place) <= LONGEST_PLACE else "/tmp"  # noqa: S108 - a new folder, only ours to enter
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=short_place))
    try:
        yield folder
    finally:
        if keep:
            say(f"kept: {folder}", err=True)
        else:
            telling = threading.Timer(
                TOLD_SECONDS, say, [f"removing the copy of the code in {folder} …"], {"err": True}
            )
            telling.daemon = True
            telling.start()
            _remove(folder)
            telling.cancel()


def _remove(folder: Path) -> None:
    """Snapshots are checked out read-only: their folders are opened first, from above, then removed."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            child = Path(parent, name)
            if not child.is_symlink():
                child.chmod(0o700)
    shutil.rmtree(folder)
