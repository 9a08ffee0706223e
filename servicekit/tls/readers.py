"""TLS for a page that is read over HTTP: each reader shows a client certificate of the pool, or what else a service takes.

A reader answers as the context of a call does, so that what admits callers admits readers, too.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from servicekit.calls.callers import Caller
from servicekit.errors import UnauthenticatedError
from servicekit.tls.admission import client_of
from servicekit.tls.certificates import Facts
from servicekit.tls.credentials import WatchedFiles, optional_context
from servicekit.tls.files import TlsFiles, TlsFolder
from servicekit.tls.revocations import RevocationFile, WatchedRevocations


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of a page. `certificate` is None where it showed none."""

    address: str
    headers: tuple[tuple[str, str], ...]
    certificate: Facts | None = None

    def peer(self) -> str:
        """Returns where it reads from."""
        return self.address

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns its headers."""
        return self.headers


# Returns the caller that a reader is; raises UnauthenticatedError or RoleNotAllowedError.
AdmitReader = Callable[[Reader], Caller]


class ReaderDoor:
    """How a page is served by TLS, and who may read it."""

    def __init__(
        self,
        files: TlsFiles,
        data: Path,
        admit: Callable[[Callable[[Reader], Caller | None]], AdmitReader] | None = None,
    ) -> None:
        """Reads the certificates to serve with; raises TlsError. `admit` makes what admits readers of what certificates tell."""
        self._watched = WatchedFiles(files)
        self._revocations = WatchedRevocations(RevocationFile(TlsFolder.of(data).revoked, files.ca))
        self._context = _context_of(self._watched)
        self.admit: AdmitReader = admit(self.known) if admit else self._admit_known

    @property
    def context(self) -> ssl.SSLContext:
        """Returns the context for a new connection: of the files as they are now."""
        if self._watched.refresh():
            self._context = _context_of(self._watched)
        return self._context

    def known(self, reader: Reader) -> Caller | None:
        """Returns the client that a certificate stands for; None where the reader showed none."""
        shown = reader.certificate
        return client_of(shown, self._watched.identity.pool, self._revocations.why_refused) if shown else None

    def _admit_known(self, reader: Reader) -> Caller:
        caller = self.known(reader)
        if caller is None:
            raise UnauthenticatedError(
                "this page is read with a client certificate of the pool",
                hint="make one:  conductor certs client NAME --role viewer --out FILE",
            )
        return caller


def _context_of(watched: WatchedFiles) -> ssl.SSLContext:
    context = optional_context(watched.material)
    context.set_alpn_protocols(["http/1.1"])
    return context
