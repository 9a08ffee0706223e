"""Takes a bundle into a data folder: its holder is a member of the pool from then on.

The same bundle may be taken in again, and a newer one of the same member replaces the older: that is how certificates are renewed
on machines without the CA. A running service takes the new files up. Nothing of another member is ever overwritten.
"""

import json
from dataclasses import asdict
from pathlib import Path

from servicekit.tls.certificates import UnreadableError, read_certificates, read_facts
from servicekit.tls.files import TlsError, TlsFiles, TlsFolder, read_bounded, write_whole
from servicekit.tls.identity import Kind
from servicekit.tls.issuing.bundle import Bundle, Pair
from servicekit.tls.issuing.membership import Membership, listen_address


def join(bundle: Bundle, folder: TlsFolder) -> bool:
    """Writes the files of a bundle; returns whether any changed. Raises TlsError where the folder is another member's."""
    folder.prepare()
    refuse_other(bundle, folder)
    wanted = dict(_files(bundle, folder))
    changed = [path for path, data in wanted.items() if not path.exists() or read_bounded(path) != data]
    pairs = {path: place for place in (folder.serving(), folder.calling()) for path in (place.key, place.certificate)}
    for path in changed:
        if (place := pairs.get(path)) is not None:
            place.replace_pair(wanted[place.key], wanted[place.certificate])
        else:
            write_whole(path, wanted[path])
    return bool(changed)


def _files(bundle: Bundle, folder: TlsFolder) -> list[tuple[Path, bytes]]:
    """Returns the files to write, in this order: who takes up a certificate has its CA already."""
    files = [(folder.ca, bundle.ca)]
    places: tuple[tuple[Pair | None, TlsFiles], ...] = (
        (bundle.server, folder.serving()),
        (bundle.client, folder.calling()),
    )
    for pair, place in places:
        files += [(place.key, pair.key), (place.certificate, pair.certificate)] if pair else []
    if bundle.identity.kind is Kind.HOST:
        identity = bundle.identity
        member = Membership(identity.pool, identity.name, listen_address(bundle.addresses), bundle.addresses)
        files.append((folder.pool, json.dumps(asdict(member), indent=2).encode() + b"\n"))
    return files


def refuse_other(bundle: Bundle, folder: TlsFolder) -> None:
    """Raises TlsError where a folder holds certificates of another member than the bundle's."""
    away = f"give another --data DIR, or move {folder.path} away first"
    for place in (folder.serving(), folder.calling()):
        if not place.certificate.exists():
            continue
        try:
            there = read_facts(read_bounded(place.certificate))
            trusted = set(read_certificates(read_bounded(folder.ca, away)))
        except UnreadableError as error:
            raise TlsError(f"{folder.path} holds files that cannot be read: {error}", hint=away) from error
        if there.identity != bundle.identity:
            of = there.identity.uri if there.identity else "another member"
            raise TlsError(f"{folder.path} holds the certificate of {of}, not of {bundle.identity.uri}", hint=away)
        if trusted.isdisjoint(read_certificates(bundle.ca)):
            raise TlsError(
                f"{folder.path} trusts another CA than this bundle, though both call their pool {bundle.identity.pool}",
                hint=away,
            )
