"""`conductor certs renew`, `revoke` and `rotate-ca`: what becomes of certificates after they were issued."""

import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.commands.certs.deliveries import file_name, taking_in, tell, write_bundle_file
from conductor.cli.commands.certs.listing import span
from conductor.cli.commands.certs.pool_folder import data_option, issuing, named
from conductor.cli.local_data import folder_of
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.wording import counted
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conductor.maintenance.certificates.pool import Delivery, PoolCertificates
    from conductor.maintenance.certificates.register import Member

_Written = list[tuple["Delivery", Path]]
folder_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Where to write bundles."
)


@click.command()
@click.argument("names", metavar="[NAME]…", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All members, whether their certificates end soon or not.")
@folder_option
@data_option
@click.pass_obj
def renew(context: Context, /, names: tuple[str, ...], *, is_all: bool, out: Path | None, data: Path | None) -> int:
    """Renew the certificates that end within 30 days, or those of the members NAME.

    This conductor's own are replaced in its data folder, and taken up without a restart. For other members bundles are written.
    """
    from conductor.maintenance.certificates.identity import conductor_id_of

    with issuing(data) as certificates:
        chosen = _chosen(certificates, names, is_all=is_all)
        renewal = _renewal(certificates, chosen, conductor_id_of(folder_of(data, None)), is_named=bool(names))
        written = _write(certificates, renewal.others, out) if out else []
    again = " --all" if is_all else "".join(f" {shlex.quote(name)}" for name in names)
    with verdict(0):
        _tell_written(context, written)
        if context.is_json:
            return 0
        for line in renewal.lines:
            say(line)
        if renewal.others and not out:
            for line in _left(renewal.others, certificates.now):
                say(line)
            say(f"write their bundles:  conductor certs renew{again}{named(data)} --out FOLDER", err=True)
        elif not written:
            say(f"see all:  conductor certs list{named(data)}", err=True)
    return 0


@dataclass(frozen=True, slots=True)
class _Renewal:
    """The outcome of `renew`: `others` are members on other machines, `lines` tell what was done here."""

    others: "tuple[Member, ...]"
    lines: tuple[str, ...]


def _chosen(certificates: "PoolCertificates", names: tuple[str, ...], *, is_all: bool) -> "tuple[Member, ...]":
    from conductor.maintenance.certificates.renewal import find_members, members_due

    register, at = certificates.register, certificates.now
    if names:
        return find_members(register, names, at)
    return tuple(each for each in register.members(at) if not each.is_revoked) if is_all else members_due(register, at)


def _renewal(
    certificates: "PoolCertificates", chosen: "tuple[Member, ...]", conductor_id: str, *, is_named: bool
) -> _Renewal:
    from conductor.maintenance.certificates.renewal import is_own
    from conductor.maintenance.certificates.rotation import is_under_way

    others = tuple(each for each in chosen if not is_own(certificates.register, each))
    # A restored database has another id than the certificates of before; an interrupted renewal left files that do not fit.
    is_unfit = not is_named and not certificates.is_equipped(conductor_id)
    if len(others) == len(chosen) and not is_unfit:
        return _Renewal(others, () if others else ("no certificate ends within 30 days",))
    if is_under_way(certificates):
        line = "this conductor keeps its certificates: hosts may not trust the new CA before `certs rotate-ca --finish`"
    else:
        line = (
            f"this conductor: until {certificates.equip(conductor_id):%Y-%m-%d}; if it runs, it takes that up by itself"
        )
    return _Renewal(others, (line,))


def _left(members: "Iterable[Member]", at: datetime) -> tuple[str, ...]:
    def left(member: "Member") -> str:
        return f"has {span(member.not_after - at)} left" if member.not_after > at else "has ended"

    return tuple(f"{each.entry.kind} '{each.entry.name}': its certificate {left(each)}" for each in members)


@click.command()
@click.argument("certificate", metavar="NAME")
@data_option
@click.pass_obj
def revoke(context: Context, /, certificate: str, data: Path | None) -> int:
    """Revoke the certificates of the member NAME (or KIND/NAME, or one by its serial), for good.

    A running conductor takes it up within seconds, ends what that member has open, and tells the hosts.
    """
    from conductor.maintenance.certificates.renewal import find_certificates
    from conductor.maintenance.certificates.renewal import revoke as revoke_entries

    with issuing(data) as certificates:
        entries = find_certificates(certificates.register, certificate, certificates.now)
        register = revoke_entries(certificates, entries)
    fresh = [entry for entry in entries if entry.revoked is None]
    with verdict(0):
        if context.is_json:
            put_json({"revoked": [f"{entry.serial:040x}" for entry in fresh], "version": register.version})
            return 0
        names = ", ".join(dict.fromkeys(f"{entry.kind} '{entry.name}'" for entry in entries))
        if fresh:
            say(f"revoked {counted(len(fresh), 'certificate')} of {names}")
        else:
            say(f"nothing to revoke: '{certificate}' has no certificate that holds")
        if any(entry.kind == "host" for entry in fresh):
            say(f"remove it:  conductor hosts remove {fresh[0].name}", err=True)
        say(f"see all:  conductor certs list --all{named(data)}", err=True)
    return 0


@click.command("rotate-ca")
@folder_option
@click.option("--finish", "is_finish", is_flag=True, help="Trust the former CA no longer.")
@click.option("--force", is_flag=True, help="With --finish: shut out members that have no new bundle yet.")
@data_option
@click.pass_obj
def rotate_ca(context: Context, /, *, out: Path | None, is_finish: bool, force: bool, data: Path | None) -> int:
    """Replace the pool's CA: for one whose key was stolen, or that ends.

    First, with --out, a new CA issues a bundle for every member; both CAs are trusted. When all members have taken theirs in,
    --finish drops the former CA.
    """
    if is_finish == (out is not None):
        raise click.UsageError("give --out FOLDER to begin, or --finish to end")
    if out is not None:
        return _begin_rotation(context, out, data)
    return _finish_rotation(context, data, force=force)


def _begin_rotation(context: Context, out: Path, data: Path | None) -> int:
    from conductor.maintenance.certificates import rotation

    with issuing(data) as certificates:
        _make_folder(out)
        rotation.begin(certificates)
        written = _write(certificates, rotation.left_behind(certificates), out)
    with verdict(0):
        _tell_written(context, written)
        if not context.is_json:
            say(
                "the pool has a new CA, and trusts both; this conductor goes on with its certificates of the former one"
            )
            say(f"when all members have theirs:  conductor certs rotate-ca --finish{named(data)}", err=True)
    return 0


def _finish_rotation(context: Context, data: Path | None, *, force: bool) -> int:
    from conductor.maintenance.certificates import rotation
    from conductor.maintenance.certificates.identity import conductor_id_of

    with issuing(data) as certificates:
        behind = rotation.left_behind(certificates)
        if behind and not force:
            names = " ".join(shlex.quote(f"{each.entry.kind}/{each.entry.name}") for each in behind)
            raise CommandError(
                f"{counted(len(behind), 'member')} would be shut out, without a bundle of the new CA",
                lines=(f"write them:  conductor certs renew {names}{named(data)} --out FOLDER", "or add --force"),
            )
        end = rotation.finish(certificates, conductor_id_of(folder_of(data, None)))
    with verdict(0):
        if context.is_json:
            put_json({"end": end.isoformat()})
            return 0
        say(f"the former CA is trusted no longer; this conductor has new certificates until {end:%Y-%m-%d}")
        say(f"see all:  conductor certs list{named(data)}", err=True)
    return 0


def _write(certificates: "PoolCertificates", members: "Iterable[Member]", out: Path) -> _Written:
    from servicekit.tls.files import refuse_there

    _make_folder(out)
    places = [(member, out / file_name(member)) for member in members]
    for _, place in places:
        refuse_there(place)
    written = []
    for member, place in places:
        delivery = certificates.again(member)
        write_bundle_file(delivery, place)
        written.append((delivery, place))
    return written


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{out} cannot be made: {error.strerror}", lines=("give another --out FOLDER",)) from error


def _tell_written(context: Context, written: _Written) -> None:
    for delivery, place in written:
        tell(delivery, place, is_json=context.is_json)
        if not context.is_json:
            say(f"  there:  {taking_in(delivery.identity.kind, place.name)}", err=True)
