"""The options of both services that name an operator's own certificates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--tls-cert", type=_FILE, metavar="FILE", help="Certificate of your own PKI.  [default: of DATA/tls]"),
    click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key."),
    click.option("--tls-ca", type=_FILE, metavar="FILE", help="Certificates of the CAs that callers are trusted by."),
)

Command = TypeVar("Command", bound=Callable[..., Any])


def tls_options(command: Command) -> Command:
    """Adds the options to a command that runs a service."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
