"""Trouble with TLS between this command line and a conductor: one sentence, and the command that mends it.

gRPC says "Socket closed" of most of it, so a failed call is followed by a handshake that finds the cause.
"""

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from conductor.cli.text.failure import NOT_AUTHORISED, UNREACHABLE, CommandError
from conductor.cli.tls import ClientTls, given_tls
from servicekit.addresses import Address, AddressError

if TYPE_CHECKING:
    from servicekit.tls.certificates import Facts
    from servicekit.tls.diagnosis import Finding

CONNECT_SECONDS = 1.0
_NEW_BUNDLE = "have a new bundle made where the pool's CA is:  conductor certs client NAME --role ROLE --out FILE"
_RENEW = "renew it on the conductor's machine:  conductor certs renew --data DIR"


def tls_trouble(address: str) -> CommandError | None:
    """Returns the trouble with TLS at an address; None where there is none, or nothing listens."""
    from conductor.cli.addresses import read_addresses

    return next((found for one in read_addresses(address) if (found := _trouble_at(one.text)) is not None), None)


def _trouble_at(address: str) -> CommandError | None:
    tls = given_tls().read()
    with suppress(AddressError, OSError):
        target = Address.parse_dialled(address, is_anywhere=True)
        if target.socket is None and _listens(target.target):
            # Only here, because it loads the library that reads certificates.
            from servicekit.tls.diagnosis import Caller, diagnose

            caller = None if tls is None else Caller(tls.ca, tls.certificate, tls.key, tls.server_name)
            if (finding := diagnose(target.target, caller)) is not None:
                return _told(finding, address, tls)
    return None


def _listens(target: str) -> bool:
    host, _, port = target.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
        return True


def _told(finding: "Finding", address: str, tls: ClientTls | None) -> CommandError:
    from servicekit.tls.admission import clock

    sentence, command = _texts(finding, tls)[finding.trouble.name]
    text = sentence.format(
        at=f"the conductor at {address}",
        address=address,
        begin=clock(finding.server.not_before) if finding.server else "",
        end=clock(finding.server.not_after) if finding.server else "",
        own_begin=clock(finding.own.not_before) if finding.own else "",
        own_end=clock(finding.own.not_after) if finding.own else "",
        now=clock(finding.now),
    )
    is_own = finding.trouble.name.startswith(("OWN_", "NO_", "SERVER_WITH_TLS"))
    return CommandError(text, lines=(command,), code=NOT_AUTHORISED if is_own else UNREACHABLE)


def _texts(finding: "Finding", tls: ClientTls | None) -> dict[str, tuple[str, str]]:
    """Returns a sentence and a command for each trouble."""
    wanted = (tls.server_name if tls else "") or "that address"
    return {
        "SERVER_WITHOUT_TLS": (
            "{at} speaks no TLS, and you gave certificates",
            "leave --bundle, --tls-ca and CONDUCTOR_BUNDLE out, or make it certificates:  conductor certs init --data DIR",
        ),
        "SERVER_WITH_TLS": (
            "{at} speaks TLS, and you gave no certificates",
            "call with your bundle:  conductor --bundle FILE …, or with your token and --tls-ca FILE",
        ),
        "SERVER_EXPIRED": ("the certificate of {at} ended at {end}, and this machine's clock says {now}", _RENEW),
        "SERVER_EARLY": (
            "the certificate of {at} begins at {begin}, and this machine's clock says {now}",
            "set this machine's clock, if it is wrong:  date -u",
        ),
        "SERVER_CA": (
            "{at} shows a certificate of another CA than yours: it is of another pool, or not the conductor that you mean",
            f"check --address, or {_NEW_BUNDLE}",
        ),
        "SERVER_NAME": (
            "{at} shows a certificate for " + (_names(finding.server) or "another name") + f", not for {wanted}",
            "check --address, or call with a bundle, which knows the name:  conductor --bundle FILE …",
        ),
        "SERVER_USAGE": ("{at} shows a certificate that is not for serving", _RENEW),
        "NO_CERTIFICATE": (
            "what listens at {address} requires a certificate; an agent host, perhaps",
            "name the conductor's address:  conductor --address ADDRESS …",
        ),
        "OWN_EXPIRED": ("your certificate ended at {own_end}, and this machine's clock says {now}", _NEW_BUNDLE),
        "OWN_EARLY": (
            "your certificate begins at {own_begin}, and this machine's clock says {now}",
            "set this machine's clock, if it is wrong:  date -u",
        ),
        "OWN_USAGE": ("your certificate is for serving, not for calling", _NEW_BUNDLE),
        "OWN_CA": ("{at} trusts another CA than that of your certificate", _NEW_BUNDLE),
        "OWN_REFUSED": (
            "{at} refuses your certificate: it trusts another CA, or is an agent host, which takes conductors alone",
            f"check --address, or {_NEW_BUNDLE}",
        ),
    }


def _names(facts: "Facts | None") -> str:
    return ", ".join(facts.names[:3]) if facts else ""
