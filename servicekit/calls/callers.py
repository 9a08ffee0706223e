"""The caller of an RPC: who it is, how that is known, and which role it has. The interceptor sets it before the handler runs.

Nothing is decided here: a service's `admit` makes the caller of a call, or refuses the call.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller. `kind` says how it is known: `loopback`, `socket`, `certificate` or `token`.

    `role` is `viewer`, `operator` or `admin`, or what a host asks for. `address` is where the call comes from, as
    gRPC writes it; it does not say who the caller is.
    """

    name: str
    kind: str
    role: str
    address: str = field(default="", compare=False)

    @property
    def identity(self) -> str:
        """Returns the text that stands in stored events and in logs: `token:ci`, `certificate:anna`, `loopback`, `socket`.

        Two callers are the same exactly where their identities are equal. It is empty outside of a call.
        """
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @property
    def is_proven(self) -> bool:
        """Returns whether a token or a certificate tells who the caller is, not only where it is."""
        return self.kind in ("token", "certificate")


LOOPBACK = Caller("", "loopback", "admin")
SOCKET = Caller("", "socket", "admin")
# Code that runs outside of a call, and servers that admit every caller.
UNKNOWN = Caller("", "", "")

# Makes the caller of a call of a method, such as `/conductor.v1.RunService/CancelRun`, out of its context; raises
# UnauthenticatedError or RoleNotAllowedError where the call must not be served.
Admit = Callable[[str, Any], Caller]

_current: ContextVar[Caller] = ContextVar("caller", default=UNKNOWN)


def current_caller() -> Caller:
    """Returns the caller of the RPC that this code serves; one with an empty identity outside of an RPC."""
    return _current.get()


def set_caller(caller: Caller) -> None:
    """Sets the caller for the task of this call and for the tasks that it starts."""
    _current.set(caller)
