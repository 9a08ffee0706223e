"""The door of a conductor that serves by TLS: clients show a certificate of its pool, or bring a token.

A certificate stands for a client with the role that its subject names. A host's certificate is not for calling, and TLS refuses it;
another conductor's stands for no client.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servicekit.calls.callers import Caller
from servicekit.tls.admission import WhyRefused, client_of
from servicekit.tls.certificates import SERVING
from servicekit.tls.credentials import WatchedFiles, require_own
from servicekit.tls.files import TlsFiles, TlsFolder
from servicekit.tls.front import Front
from servicekit.tls.identity import Kind
from servicekit.tls.peer import Peers
from servicekit.tls.revocations import RevocationFile, WatchedRevocations


@dataclass(frozen=True, slots=True)
class Door:
    """How a conductor serves by TLS. `known` returns the caller that a certificate stands for; None where it showed none.

    `address_of` returns where a call comes from.
    """

    front: Front
    known: Callable[[Any], Caller | None]
    address_of: Callable[[Any], str]


def open_door(files: TlsFiles, data: Path, *, conductor_id: str) -> Door:
    """Reads the certificates to serve with; raises TlsError where they cannot be used."""
    watched = WatchedFiles(files)
    require_own(watched, Kind.CONDUCTOR, conductor_id, SERVING)
    revocations = WatchedRevocations(RevocationFile(TlsFolder.of(data).revoked, files.ca))
    return door_of(watched, data, revocations.why_refused)


def door_of(watched: WatchedFiles, data: Path, why_refused: WhyRefused) -> Door:
    """Makes a door of certificates that were checked."""
    peers, folder = Peers(), TlsFolder.of(data)
    folder.prepare()

    def known(context: Any) -> Caller | None:
        facts = peers.find(context).certificate
        return client_of(facts, watched.identity.pool, why_refused) if facts is not None else None

    return Door(Front(watched, peers, folder.path), known, peers.address_of)
