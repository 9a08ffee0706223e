"""`conductor certs list`: who has a certificate, and until when."""

from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.commands.certs.pool_folder import data_option, named, now, tls_folder
from conductor.cli.local_data import of_the_service
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED
from conductor.cli.text.wording import counted, elapsed
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say
from servicekit.printing.terminal_text import column

if TYPE_CHECKING:
    from conductor.maintenance.certificates.register import Entry, Register

_DAY = timedelta(days=1)


@click.command("list")
@click.option("--all", "is_all", is_flag=True, help="Also those that were renewed, ended or revoked.")
@data_option
@click.pass_obj
def list_certificates(context: Context, /, *, is_all: bool, data: Path | None) -> int:
    """List the certificates of the pool."""
    from conductor.maintenance.certificates.register import read_register
    from conductor.maintenance.certificates.renewal import members_due

    with of_the_service(RUN_FAILED):
        register = read_register(tls_folder(data))
    at = now()
    shown = register.entries if is_all else _newest(register, at)
    with verdict(0):
        if context.is_json:
            for entry in shown:
                put_json(_object(entry))
            return 0
        for line in lines(shown, at, register.former):
            say(line)
        due = members_due(register, at)
        if due:
            renew = f"conductor certs renew{named(data)} --out FOLDER"
            say(f"{counted(len(due), 'member')} to renew:  {renew}", err=True)
        else:
            say(f"to revoke one:  conductor certs revoke NAME{named(data)}", err=True)
    return 0


def _newest(register: "Register", at: datetime) -> "list[Entry]":
    return [entry for member in register.members(at) for entry in member.newest if entry.not_after > at]


def lines(entries: "Iterable[Entry]", at: datetime, former: Container[int] = ()) -> Iterator[str]:
    """Returns a line for each certificate."""
    shown = list(entries)
    longest = max((len(entry.name) for entry in shown), default=0)
    for entry in shown:
        what = entry.role or {"serverAuth": "serves", "clientAuth": "dials"}[entry.usage]
        state, mark = _state(entry, at, is_former=entry.authority in former)
        yield f"{mark} {entry.kind:<9}  {column(entry.name, longest)}  {what:<8}  {entry.serial:040x}  {state}"


def _state(entry: "Entry", at: datetime, *, is_former: bool) -> tuple[str, str]:
    if entry.revoked:
        return f"revoked {span(at - entry.revoked)} ago", "✘"
    if entry.not_after <= at:
        return f"ended {span(at - entry.not_after)} ago", "✘"
    if entry.not_before > at:
        return f"begins in {span(entry.not_before - at)}: is this machine's clock right?", "?"
    if is_former:
        return "of a former CA", "✘"
    # Its first hours are before its issue: the clocks of machines differ.
    issued = f"issued {span(at - entry.not_before - _DAY)} ago"
    return f"{issued}, {span(entry.not_after - at)} left", "?" if entry.not_after - at <= 30 * _DAY else "✔"


def span(length: timedelta) -> str:
    """Returns `12 days`, or hours and minutes below two days."""
    return f"{length // _DAY} days" if length >= 2 * _DAY else elapsed(length.total_seconds())


def _object(entry: "Entry") -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "id": entry.id,
        "role": entry.role,
        "usage": entry.usage,
        "serial": f"{entry.serial:040x}",
        "notBefore": entry.not_before.isoformat(),
        "notAfter": entry.not_after.isoformat(),
        "revoked": entry.revoked.isoformat() if entry.revoked else None,
    }
