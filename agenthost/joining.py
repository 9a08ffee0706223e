"""`agenthost join`: takes the bundle of a host into its data folder, and says how to serve with it."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

from servicekit.printing.output_lost import verdict
from servicekit.printing.page import say
from servicekit.tls.files import TlsError, TlsFolder, read_bounded
from servicekit.tls.identity import Kind
from servicekit.tls.issuing.bundle import read_bundle
from servicekit.tls.issuing.joining import join


def join_pool(file: Path, data: Path) -> int:
    """Makes a data folder's host a member of a pool. Raises TlsError where the bundle cannot do that."""
    bundle = read_bundle(read_bounded(file), str(file), now())
    identity = bundle.identity
    if identity.kind is not Kind.HOST or not bundle.addresses:
        what = f"that of the {identity.kind} '{identity.name}'" if identity.kind is not Kind.HOST else "without address"
        hint = "make one where the pool's CA is:  conductor certs host NAME --address ADDRESS --out NAME.agenthost"
        raise TlsError(f"{file} is no bundle of a host: it is {what}", hint=hint)
    folder = TlsFolder.of(data)
    is_changed = join(bundle, folder)
    with verdict(0):
        state = "is" if is_changed else "was already"
        say(f"this host {state} '{identity.name}' of the pool '{identity.pool}', until {bundle.not_after:%Y-%m-%d}")
        say(f"remove the copy:  rm {shlex.quote(str(file))}", err=True)
        say(f"serve:            agenthost serve --data {shlex.quote(str(data))}", err=True)
    return 0


def now() -> datetime:
    """Returns this machine's time."""
    return datetime.now(UTC)
