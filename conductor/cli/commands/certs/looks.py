"""The part of `conductor doctor` that looks at certificates, in a data folder that has some."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from conductor.cli.commands.certs.listing import span
from conductor.cli.commands.certs.pool_folder import named
from conductor.cli.commands.upkeep.look import Look
from conductor.maintenance.certificates.register import Register, read_register
from conductor.maintenance.certificates.renewal import is_own, members_due
from servicekit.tls.certificates import read_certificates, read_facts
from servicekit.tls.files import TlsError, TlsFolder, read_bounded
from servicekit.tls.issuing.authority import RENEWED_BEFORE
from servicekit.tls.revocations import RevocationFile

CA_REPLACED_BEFORE = timedelta(days=180)


def certificate_looks(data: Path, conductor_id: str, now: datetime) -> Iterator[Look]:
    """Returns what is wrong, or soon will be, with the certificates of a data folder."""
    folder = TlsFolder.of(data)
    has_authority = folder.issued.exists()
    remedy = f"conductor certs renew{named(data)}" if has_authority else f"conductor certs join FILE{named(data)}"
    try:
        yield from _own_looks(folder, conductor_id, remedy, now)
        RevocationFile.of(folder).read()
        if has_authority:
            yield from _pool_looks(folder, read_register(folder), data, now)
    except TlsError as error:
        yield Look(good=False, text=str(error), advice=(error.hint,) if error.hint else ())


def _own_looks(folder: TlsFolder, conductor_id: str, remedy: str, now: datetime) -> Iterator[Look]:
    ends = []
    for files in (folder.serving(remedy), folder.calling(remedy)):
        facts = read_facts(files.checked().certificate)
        ends.append(facts.not_after)
        if facts.identity is None or (conductor_id and facts.identity.name != conductor_id):
            told = facts.identity.uri if facts.identity else "no member of a pool"
            text = f"{files.certificate} is the certificate of {told}, and this conductor is {conductor_id}"
            yield Look(good=False, text=text, advice=(f"make its own:  {remedy}",))
            return
    yield _end_look("this conductor's certificates", min(ends), remedy, now)


def _end_look(what: str, end: datetime, remedy: str, now: datetime, before: timedelta = RENEWED_BEFORE) -> Look:
    clocks = f"until {end:%Y-%m-%d %H:%M} UTC; this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
    if end <= now:
        return Look(good=False, text=f"{what}: ended {span(now - end)} ago, {clocks}", advice=(remedy,))
    is_soon = end - now <= before
    return Look(good=True, text=f"{what}: {span(end - now)} left", advice=(remedy,), is_doubt=is_soon)


def _pool_looks(folder: TlsFolder, register: Register, data: Path, now: datetime) -> Iterator[Look]:
    trusted = read_certificates(read_bounded(folder.ca))
    rotate = f"replace it:  conductor certs rotate-ca{named(data)} --out FOLDER"
    yield _end_look(
        f"the CA of the pool '{register.pool}'", trusted[0].not_valid_after_utc, rotate, now, CA_REPLACED_BEFORE
    )
    if len(trusted) > 1:
        finish = f"when all members have their bundles:  conductor certs rotate-ca --finish{named(data)}"
        yield Look(good=True, text="the pool's CA is being replaced: two are trusted", advice=(finish,), is_doubt=True)
    renew = f"write new bundles:  conductor certs renew{named(data)} --out FOLDER"
    for member in members_due(register, now):
        if not is_own(register, member):
            yield _end_look(
                f"the certificate of {member.entry.kind} '{member.entry.name}'", member.not_after, renew, now
            )
