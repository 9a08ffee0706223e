"""Reads and makes the identities that certificates carry: `conductor://POOL/host/NAME`, `…/conductor/ID`, `…/client/NAME`.

A host proves its name by the DNS name `NAME.POOL.host.invalid`, which a conductor expects at each address that it dials: so host A
cannot answer for B, and a host may move. `invalid` is never resolved (RFC 2606). A client's role is no part of its identity: it is
the organization (O) of the certificate's subject.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

SCHEME = "conductor://"
# The same names as hosts have. A conductor's ID is made of them too.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
NAME_RULE = "a-z, 0-9 and '-', at most 40 characters, and does not begin with '-'"
ROLES = ("viewer", "operator", "admin")
_URI = re.compile(rf"{SCHEME}(?P<pool>{NAME.pattern})/(?P<kind>host|conductor|client)/(?P<name>{NAME.pattern})")


class Kind(StrEnum):
    """The kinds of parties in a pool."""

    HOST = "host"
    CONDUCTOR = "conductor"
    CLIENT = "client"


class IdentityError(ValueError):
    """A certificate names no party of a pool."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A party of a pool. The name of a conductor is the id in its database."""

    pool: str
    kind: Kind
    name: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Reads a URI; raises IdentityError for one that names no party of a pool."""
        found = _URI.fullmatch(uri)
        if found is None:
            raise IdentityError(f"{uri[:120]!r} names no host, conductor or client of a pool")
        return cls(found["pool"], Kind(found["kind"]), found["name"])

    @property
    def uri(self) -> str:
        """Its URI, as it stands in the certificate."""
        return f"{SCHEME}{self.pool}/{self.kind}/{self.name}"

    @property
    def server_name(self) -> str:
        """The DNS name of its serving certificate: what the dialling side expects. Empty for a client, which serves nothing."""
        match self.kind:
            case Kind.HOST:
                return f"{self.name}.{self.pool}.host.invalid"
            case Kind.CONDUCTOR:
                return conductor_server_name(self.pool)
            case Kind.CLIENT:
                return ""


def conductor_server_name(pool: str) -> str:
    """Returns the name that every conductor of a pool serves clients with, at all of its addresses."""
    return f"conductor.{pool}.invalid"


def is_name(text: str) -> bool:
    """Returns whether it can name a pool or a party."""
    return NAME.fullmatch(text) is not None
