"""`conductor certs renew` and `revoke`: certificates that end, and those that must."""

import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.commands.certs.deliveries import folder_option, tell_written, write_bundles
from conductor.cli.commands.certs.listing import span
from conductor.cli.commands.certs.pool_folder import data_option, issuing, named
from conductor.cli.local_data import folder_of
from conductor.cli.main import Context
from conductor.cli.text.following import say_next
from conductor.cli.text.wording import counted
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conductor.maintenance.certificates.pool import PoolCertificates
    from conductor.maintenance.certificates.register import Member


@click.command()
@click.argument("names", metavar="[NAME]…", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All members, whether their certificates end soon or not.")
@folder_option
@data_option
@click.pass_obj
def renew(context: Context, /, names: tuple[str, ...], *, is_all: bool, out: Path | None, data: Path | None) -> int:
    """Renew certificates that end soon, or those of NAME.

    Soon is within 30 days. This conductor's own are replaced in its data folder, and taken up without a restart. For
    other members bundles are written.
    """
    from conductor.maintenance.certificates.identity import conductor_id_of

    with issuing(data) as certificates:
        chosen = _chosen(certificates, names, is_all=is_all)
        renewal = _renewal(certificates, chosen, conductor_id_of(folder_of(data, None)), is_named=bool(names))
        written = write_bundles(certificates, renewal.others, out) if out else []
    again = " --all" if is_all else "".join(f" {shlex.quote(name)}" for name in names)
    with verdict(0):
        tell_written(context, written)
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
    """Revoke the certificates of a member, for good.

    NAME is that of the member, KIND/NAME, or the serial of one certificate. A running conductor takes it up within
    seconds, ends what that member has open, and tells the hosts.
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
            say_next(f"remove it:  conductor hosts remove {fresh[0].name}", err=True)
        say(f"see all:  conductor certs list --all{named(data)}", err=True)
    return 0
