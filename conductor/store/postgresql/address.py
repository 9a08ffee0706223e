"""The address of a database, as `conductor serve --store` takes it. It holds no secret: libpq finds the password."""

from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor.errors import ConfigurationError

_SECRETS = ("password", "sslpassword")
_HINT = "postgresql://USER@HOST/DB, with the password in a file that PGPASSFILE names, or in PGPASSWORD"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database: what libpq connects with, and a name of it for people."""

    conninfo: str
    shown: str

    @classmethod
    def read(cls, url: str) -> Self:
        """Reads a URL of libpq. ConfigurationError: it is none, or holds a password."""
        try:
            found = {name: str(value) for name, value in conninfo_to_dict(url).items() if value}
        except psycopg.Error as error:
            raise ConfigurationError(f"store: the URL cannot be read: {str(error).strip()}", hint=_HINT) from error
        if secret := next((name for name in _SECRETS if name in found), ""):
            text = (
                f"store: the URL holds a {secret}, which every user of this machine can read in the list of processes"
            )
            raise ConfigurationError(text, hint=_HINT)
        if not found.get("dbname"):
            raise ConfigurationError("store: the URL names no database", hint=_HINT)
        place = f"{found.get('host', 'its local socket')}{':' + found['port'] if 'port' in found else ''}"
        return cls(make_conninfo("", **found), f"database '{found['dbname']}' at {place}")
