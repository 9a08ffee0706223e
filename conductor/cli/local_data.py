"""The data folder of commands that read it themselves instead of asking its conductor.

Two things can be named: a folder with --data, a conductor with --address or CONDUCTOR_ADDRESS. They must not be of two conductors.
So without --data the folder is the one that the named conductor says it uses, and where both are named their ids are compared.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from conductor.cli.text.failure import UNREACHABLE, CommandError

if TYPE_CHECKING:
    from conductor.v1 import server_service_pb2

LOOK_SECONDS = 5.0

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The conductor's data folder.  [default: what the conductor at --address says, else as of `conductor serve`]",
)


@dataclass(frozen=True, slots=True)
class LocalData:
    """A data folder, and the id of the conductor that was asked: empty where none was asked, or none answered.

    `store` is the URL of that conductor's database, where it is none in the folder.
    """

    folder: Path
    conductor_id: str = ""
    store: str = ""

    def check(self, address: str, database_id: str) -> None:
        """Raises a CommandError where the conductor that was asked has another database than this folder."""
        if self.conductor_id not in ("", database_id):
            raise CommandError(
                f"the conductor at {address} has another database than {self.folder}",
                lines=("name its folder with --data, or its address with --address",),
            )


def folder_of(given: Path | None, info: "server_service_pb2.ServerInfo | None") -> Path:
    """Returns the folder that is named, else that of the conductor that answered, else the default."""
    from conductor.cli.commands.serve import usual_data

    told = info.settings.get("data", "") if info is not None else ""
    folder = given or (Path(told) if told else usual_data())
    if folder is None:
        raise CommandError(
            "this user has no home folder, so there is no usual data folder", lines=("name one:  --data DIR",)
        )
    return folder


def local_data(address: str, given: Path | None, *, folder_is_enough: bool = False) -> LocalData:
    """Finds the folder that is meant, and the id of the conductor at the address, where one answers.

    A conductor that was named and is not there cannot say which folder is its own: then --data must. With `folder_is_enough`
    a --data without an --address means that folder, whichever conductor answers elsewhere.
    """
    if given and folder_is_enough and address_source() is not ParameterSource.COMMANDLINE:
        return LocalData(given)
    info = ask(address)
    if info is None and given is None and not usual_is_meant():
        raise CommandError(
            f"no conductor answers at {address}, so its data folder is unknown",
            lines=("name the folder:  --data DIR",),
            code=UNREACHABLE,
        )
    if info is None:
        return LocalData(folder_of(given, info))
    store = info.settings.get("store", "") if info.store == "postgresql" and given is None else ""
    return LocalData(folder_of(given, info), info.conductor_id, store)


def usual_is_meant() -> bool:
    """Returns whether the default folder is meant where no conductor answers: only where no address was given."""
    return address_source() is ParameterSource.DEFAULT


def address_source() -> ParameterSource:
    """Returns where the conductor's address comes from: a flag before or after the command, the environment, or the default."""
    here = click.get_current_context()
    if here.get_parameter_source("address") is ParameterSource.COMMANDLINE:
        return ParameterSource.COMMANDLINE
    return here.find_root().get_parameter_source("address") or ParameterSource.DEFAULT


def ask(address: str, seconds: float = LOOK_SECONDS) -> "server_service_pb2.ServerInfo | None":
    """Returns what the conductor at the address says of itself; None where none answers."""
    import grpc

    from conductor.cli.connection import connected
    from conductor.v1 import server_service_pb2

    with connected(address) as connection:
        try:
            asked = server_service_pb2.GetServerInfoRequest()
            return connection.server.GetServerInfo(asked, timeout=seconds)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return None
            raise


def typed(*given: tuple[str, object]) -> str:
    """Returns options as they are typed, without those that have no value."""
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given if value)


@contextmanager
def of_the_service(code: int) -> Iterator[None]:
    """Makes sentences of the service's errors; `code` is for those that are not the storage's."""
    from conductor.errors import StatusError, StorageError

    try:
        yield
    except StatusError as error:
        ends_with = UNREACHABLE if isinstance(error, StorageError) else code
        raise CommandError(str(error), lines=tuple(error.hint.splitlines()), code=ends_with) from error
