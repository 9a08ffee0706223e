"""Takes the bundle of a further conductor into its data folder."""

from datetime import datetime
from pathlib import Path

from conductor.maintenance.certificates.identity import require_id
from servicekit.tls.files import TlsError, TlsFolder, read_bounded
from servicekit.tls.identity import Kind
from servicekit.tls.issuing.bundle import Bundle, read_bundle
from servicekit.tls.issuing.joining import join, refuse_other


def join_as_conductor(file: Path, data: Path, now: datetime) -> tuple[Bundle, bool]:
    """Makes a data folder's conductor a member of a pool; returns the bundle, and whether any file changed. Raises TlsError."""
    bundle = read_bundle(read_bounded(file), str(file), now)
    identity = bundle.identity
    if identity.kind is not Kind.CONDUCTOR:
        hint = "make one where the pool's CA is:  conductor certs conductor NAME --out NAME.conductor"
        raise TlsError(f"{file} is the bundle of the {identity.kind} '{identity.name}', not of a conductor", hint=hint)
    folder = TlsFolder.of(data)
    if folder.issued.exists():
        away = f"give another --data DIR, or move {folder.path} away first"
        raise TlsError(f"{folder.path} holds the CA of a pool of its own", hint=away)
    refuse_other(bundle, folder)
    require_id(data, identity.name, "NAME")
    return bundle, join(bundle, folder)
