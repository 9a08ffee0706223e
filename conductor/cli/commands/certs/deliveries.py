"""Writes bundles, and says where they go and what to type there."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conductor.maintenance.certificates.pool import Delivery, PoolCertificates
    from conductor.maintenance.certificates.register import Member

# A bundle, and the file that holds it.
Written = tuple["Delivery", Path]
folder_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Where to write bundles."
)
_ENDINGS = {"host": "agenthost", "client": "client", "conductor": "conductor"}


def write_bundle_file(delivery: "Delivery", out: Path) -> None:
    """Writes a bundle, for its user alone."""
    from servicekit.tls.files import write_whole

    write_whole(out.absolute(), delivery.data)


def file_name(member: "Member") -> str:
    """Returns the usual name of a member's bundle file."""
    return f"{member.entry.name}.{_ENDINGS[member.entry.kind]}"


def tell(delivery: "Delivery", out: Path, *, is_json: bool) -> None:
    """Prints what was written."""
    if is_json:
        put_json({"path": str(out), "identity": delivery.identity.uri, "end": delivery.not_after.isoformat()})
        return
    say(f"{out}: {delivery.identity.kind} '{delivery.name}', until {delivery.not_after:%Y-%m-%d}")


def taking_in(kind: str, file: str, address: str = "") -> str:
    """Returns what to type where a bundle goes. `address` is for a client's bundle that tells none."""
    quoted = shlex.quote(file)
    return {
        "host": f"agenthost join {quoted} --data DIR",
        "conductor": f"conductor certs join {quoted} --data DIR",
        "client": f"conductor{address and f' --address {address}'} --bundle {quoted} runs",
    }[kind]


def write_bundles(certificates: "PoolCertificates", members: "Iterable[Member]", out: Path) -> "list[Written]":
    """Writes bundles for members into a folder; raises TlsError where a file of that name is there."""
    from servicekit.tls.files import refuse_there

    make_folder(out)
    places = [(member, out / file_name(member)) for member in members]
    for _, place in places:
        refuse_there(place)
    written = []
    for member, place in places:
        delivery = certificates.again(member)
        write_bundle_file(delivery, place)
        written.append((delivery, place))
    return written


def make_folder(out: Path) -> None:
    """Makes the folder for bundles, for its user alone."""
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{out} cannot be made: {error.strerror}", lines=("give another --out FOLDER",)) from error


def tell_written(context: Context, written: "Iterable[Written]") -> None:
    """Prints what was written, and what to type there."""
    for delivery, place in written:
        tell(delivery, place, is_json=context.is_json)
        if not context.is_json:
            say(f"  there:  {taking_in(delivery.identity.kind, place.name)}", err=True)
