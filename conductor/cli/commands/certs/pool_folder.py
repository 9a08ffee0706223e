"""Opens the folder with the CA for the commands of `certs`, and reads their addresses; makes sentences of errors."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.local_data import folder_of, of_the_service
from conductor.cli.text.failure import RUN_FAILED, CommandError

if TYPE_CHECKING:
    from conductor.maintenance.certificates.pool import PoolCertificates
    from servicekit.tls.files import TlsFolder

CONDUCTOR_PORT, HOST_PORT = 7410, 7420

data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="The conductor's data folder.  [default: as of `conductor serve`]"
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to write the bundle."
)


@contextmanager
def issuing(data: Path | None, out: Path | None = None) -> Iterator["PoolCertificates"]:
    """Opens the CA of a data folder, locked; makes sentences of its errors. A file `out` must not be there yet."""
    from conductor.maintenance.certificates.pool import PoolCertificates
    from conductor.maintenance.certificates.register import read_register
    from servicekit.tls.files import locked, refuse_there

    folder = tls_folder(data)
    with of_the_service(RUN_FAILED):
        if out is not None:
            refuse_there(out)
        read_register(folder)  # it says best what is missing
        with locked(folder.path):
            yield PoolCertificates(folder, now())


def tls_folder(data: Path | None) -> "TlsFolder":
    """Returns the folder of certificates that is meant."""
    from servicekit.tls.files import TlsFolder

    return TlsFolder.of(folder_of(data, None))


def with_port(addresses: Sequence[str], port: int) -> tuple[str, ...]:
    """Reads addresses of other machines, with the usual port where they have none. Raises CommandError."""
    return tuple(_with_port(address, port) for address in addresses)


def _with_port(text: str, port: int) -> str:
    from servicekit.addresses import Address, AddressError

    given = text if text.startswith("unix:") or _has_port(text) else f"{_bracketed(text)}:{port}"
    try:
        address = Address.parse_dialled(given, is_anywhere=True)
    except AddressError as error:
        raise CommandError(f"--address: {error}") from None
    if address.socket is not None:
        raise CommandError(
            f"--address: '{text}' is a unix socket, which needs no certificates: give a name or an IP address"
        )
    if address.text.startswith(("0.", "[::]")):
        raise CommandError(
            f"--address: '{text}' is no address that another machine can reach: give its name or IP address"
        )
    return address.text


def _has_port(text: str) -> bool:
    return text.rpartition(":")[2].isdigit() and (text.count(":") == 1 or "]:" in text)


def _bracketed(text: str) -> str:
    return f"[{text}]" if ":" in text and not text.startswith("[") else text


def now() -> datetime:
    """Returns this machine's time."""
    return datetime.now(UTC)


def named(data: Path | None) -> str:
    """Returns the option for the same data folder, to be typed again."""
    return f" --data {shlex.quote(str(data))}" if data is not None else ""
