"""The address of a database, as `conductor serve --store` takes it. It holds no secret: libpq finds the password."""

from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from conductor.errors import ConfigurationError

_SECRET = b"*"  # libpq's mark of a parameter that is not to be shown
_KEYS = (b"scram_client_key", b"scram_server_key")  # which it marks as others
_HINT = "write postgresql://USER@HOST/DB, with the password in a file that PGPASSFILE names, or in PGPASSWORD"
_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database: what libpq connects with, and a name of it for people."""

    conninfo: str
    shown: str

    @classmethod
    def read(cls, url: str) -> Self:
        """Reads a URL of libpq. ConfigurationError: it is none, or holds a password."""
        scheme, mark, _ = url.partition("://")
        if mark and scheme.isalpha() and scheme not in _SCHEMES:
            raise ConfigurationError("store: the URL begins with neither postgresql:// nor postgres://", hint=_HINT)
        try:
            options = [option for option in Conninfo.parse(url.encode()) if option.val]
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise ConfigurationError(f"store: the URL cannot be read{_reason(url, error)}", hint=_HINT) from None
        secrets = [option for option in options if option.dispchar == _SECRET or option.keyword in _KEYS]
        if secrets:
            text = f"store: the URL holds a password ({secrets[0].keyword.decode()}), which every user of this machine can read"
            raise ConfigurationError(f"{text} in the list of processes", hint=_HINT)
        found = {option.keyword.decode(): (option.val or b"").decode(errors="replace") for option in options}
        if not found.get("dbname"):
            raise ConfigurationError("store: the URL names no database", hint=_HINT)
        place = f"{found.get('host', 'its local socket')}{':' + found['port'] if 'port' in found else ''}"
        return cls(make_conninfo("", **found), f"database '{found['dbname']}' at {place}")


def _reason(url: str, error: Exception) -> str:
    """Returns what libpq says. It quotes the place of the fault, which may be a password where the URL can hold one."""
    return "" if "@" in url or "password" in url else f": {str(error).strip()}"
