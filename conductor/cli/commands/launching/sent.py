"""Decides whether a workspace is sent to the conductor, or only named to it."""

from collections.abc import Mapping

from conductor.cli.main import Context
from servicekit.addresses import Address, AddressError


def needs_push(context: Context, options: Mapping[str, object]) -> bool:
    """Returns whether the conductor cannot see this machine's folders: its address is another machine's, or the user says so."""
    if options["push"]:
        return True
    try:
        Address.parse(context.address)
    except AddressError:
        return True
    return False
