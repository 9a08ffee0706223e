"""Admits the callers of RPCs: tells who calls, and asks the table of roles whether they may.

A token counts before everything else, then a client certificate. Callers without either are admitted over a unix socket, whose
mode lets in the conductor's user only, and over loopback.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conductor.api.access.failures import Failures
from conductor.api.access.token_book import TokenBook
from conductor.core.access.roles import Role, is_allowed, role_needed
from conductor.errors import RoleNotAllowedError, UnauthenticatedError
from servicekit.calls.callers import LOOPBACK, SOCKET, Caller

_HEADER = "authorization"
_SCHEME = "bearer "

# Returns the caller of a call that has no token; None where a token is needed.
Known = Callable[[Any], Caller | None]
# Raises the error with which a method is refused now for every caller.
Refuse = Callable[[str], None]


def refuse_nothing(_: str) -> None:
    """Lets every method through."""


class Admission:
    """Admits callers. `known` tells who calls without a token, `address_of` where a call comes from; each call is asked for.

    `refuse` is asked last: only admitted callers hear that this conductor is a standby.
    """

    def __init__(
        self,
        tokens: TokenBook,
        known: Known,
        now: Callable[[], float],
        address_of: Callable[[Any], str] = lambda context: context.peer() or "",
        refuse: Refuse = refuse_nothing,
    ) -> None:
        self._tokens = tokens
        self._known = known
        self._address_of = address_of
        self._refuse = refuse
        self._failures = Failures(now)

    def __call__(self, method: str, context: Any) -> Caller:
        """Returns the caller; raises UnauthenticatedError or RoleNotAllowedError, and what `refuse` raises."""
        caller = self._identify(context)
        needed = role_needed(method)
        if not is_allowed(caller.role, needed):
            self._failures.note_role(caller, str(needed), method)
            raise _not_allowed(method, caller, needed)
        self._refuse(method)
        return replace(caller, address=self._address_of(context))

    def _identify(self, context: Any) -> Caller:
        given = [value for key, value in context.invocation_metadata() if key == _HEADER]
        if given:
            # Of two, a proxy in between may have judged the other one.
            return self._find_token(given[0] if len(given) == 1 else None, self._address_of(context))
        caller = self._known(context)
        if caller is None:
            raise UnauthenticatedError(
                "the call brings no token and no client certificate",
                hint="give one: --token TOKEN, CONDUCTOR_TOKEN or --bundle FILE; other clients send 'authorization: Bearer TOKEN'",
            )
        return caller

    def _find_token(self, given: Any, peer: str) -> Caller:
        text = given if isinstance(given, str) and given[: len(_SCHEME)].lower() == _SCHEME else ""
        token = self._tokens.find(text[len(_SCHEME) :].strip())
        if token is None:
            self._failures.note_token(peer)
            raise UnauthenticatedError(
                "the token that the call brings is not valid here",
                hint="an admin makes one:  conductor tokens create NAME --role ROLE",
            )
        if token.revoke_time:
            self._failures.note_token(peer)
            raise UnauthenticatedError(
                f"the token '{token.name}' was revoked",
                hint="an admin makes one:  conductor tokens create NAME --role ROLE",
            )
        return Caller(token.name, "token", token.role)


def socket_callers(_: Any) -> Caller:
    """Knows the callers of a unix socket."""
    return SOCKET


def loopback_callers(tokens: TokenBook, role: str) -> Known:
    """Makes the knowledge about callers over loopback: they have a role, or are admins until there are tokens."""

    def known(_: Any) -> Caller:
        return replace(LOOPBACK, role=role or (Role.VIEWER if tokens.has_valid else Role.ADMIN))

    return known


def _not_allowed(method: str, caller: Caller, needed: Role) -> RoleNotAllowedError:
    name = method.rpartition("/")[2]
    match caller.kind:
        case "certificate":
            hint = f"have one made with it:  conductor certs client NAME --role {needed} --out FILE"
        case "loopback":
            hint = f"give --token or CONDUCTOR_TOKEN; without one, loopback has the role {caller.role} (access.loopback_role)"
        case _:
            hint = f"an admin makes a token with it:  conductor tokens create NAME --role {needed}"
    return RoleNotAllowedError(
        f"{name} needs the role {needed}, and {caller.identity} has the role {caller.role}",
        hint=hint,
        metadata={"method": name, "caller": caller.identity, "role": caller.role, "needed": str(needed)},
    )
