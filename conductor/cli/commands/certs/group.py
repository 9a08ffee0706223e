"""The commands of `conductor certs`."""

import click

from conductor.cli.commands.certs.issuing import client, conductor, host, init, join
from conductor.cli.commands.certs.listing import list_certificates
from conductor.cli.commands.certs.renewing import renew, revoke
from conductor.cli.commands.certs.rotating import rotate_ca

_COMMANDS = (init, host, client, conductor, join, list_certificates, renew, revoke, rotate_ca)


@click.group()
def certs() -> None:
    """Issue the certificates of a pool: hosts, clients and conductors on several machines.

    The pool's CA is made by `certs init`, in the conductor's data folder. Every bundle holds a key: carry it to its machine by a
    way that you trust, such as scp, and remove the copy.
    """


for _command in _COMMANDS:
    certs.add_command(_command)
