"""Checks the certificate of a caller for one call. TLS has proven that the caller holds its key, and that a trusted CA signed it.

Dates are checked here for each call, and again for open streams: a connection outlives its certificate otherwise.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from servicekit.calls.callers import Caller
from servicekit.errors import RoleNotAllowedError, UnauthenticatedError
from servicekit.tls.certificates import CALLING, Facts
from servicekit.tls.identity import Identity, Kind

# Returns why a certificate is not accepted any more, as "was revoked"; empty where it is.
WhyRefused = Callable[[Facts], str]


def check_certificate(facts: Facts, pool: str, why_refused: WhyRefused) -> Identity:
    """Returns whom a certificate of this pool stands for; raises UnauthenticatedError where it must not be used now."""
    identity, now = facts.identity, datetime.now(UTC)
    if identity is None:
        raise UnauthenticatedError(
            "this client certificate names no client or conductor of a pool",
            hint="it needs one URI as conductor://POOL/client/NAME; make one:  conductor certs client NAME --role ROLE",
        )
    told, again = f"the certificate of {identity.kind} '{identity.name}'", _again(identity)
    if identity.pool != pool:
        raise UnauthenticatedError(f"{told} is of the pool '{identity.pool}', and this is '{pool}'", hint=again)
    if CALLING not in facts.usages:
        raise UnauthenticatedError(f"{told} is not for calling (it lacks clientAuth)", hint=again)
    if not facts.not_before <= now <= facts.not_after:
        when = f"ended at {clock(facts.not_after)}" if now > facts.not_after else f"begins at {clock(facts.not_before)}"
        raise UnauthenticatedError(f"{told} {when}, and the clock here says {clock(now)}", hint=again)
    if why := why_refused(facts):
        raise UnauthenticatedError(f"{told} {why}", hint=again)
    return identity


def client_of(facts: Facts, pool: str, why_refused: WhyRefused) -> Caller:
    """Returns the client that a certificate of this pool stands for; raises UnauthenticatedError or RoleNotAllowedError."""
    identity = check_certificate(facts, pool, why_refused)
    if identity.kind is not Kind.CLIENT or not facts.role:
        what = "a client with a role" if identity.kind is Kind.CLIENT else f"a client, but the {identity.kind}"
        raise RoleNotAllowedError(
            f"the certificate of '{identity.name}' is not one of {what}",
            hint="make one:  conductor certs client NAME --role viewer|operator|admin --out FILE",
        )
    return Caller(identity.name, "certificate", facts.role)


def clock(time: datetime) -> str:
    """Returns a time for people, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _again(identity: Identity) -> str:
    if identity.kind is Kind.CONDUCTOR:
        return "renew it on the conductor's machine:  conductor certs renew --data DIR"
    return f"make another one:  conductor certs client {identity.name} --role ROLE --out FILE"
