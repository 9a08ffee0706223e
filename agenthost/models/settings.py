"""Reads the host's model endpoints from its configuration, each with its key from a variable or a file.

A key is held in memory and sent only to the gateway: it never appears in a text, a log, an argument or a file of this host.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agenthost.core.models.endpoint import Endpoint, EndpointError, parse_endpoint
from agenthost.errors import ConfigurationError
from servicekit.errors import shown

MAX_MODELS = 100
MAX_KEY_BYTES = 16 * 1024
_OURS = frozenset({"model", "context", "slots", "pool"})


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One endpoint with its key."""

    endpoint: Endpoint
    table: Mapping[str, Any]
    key: str = field(default="", repr=False)

    def message(self) -> dict[str, Any]:
        """Returns the message that tells the gateway of this endpoint."""
        # A gateway of an earlier release may still run; it needs nothing of these, and would refuse them.
        return {"table": {name: value for name, value in self.table.items() if name not in _OURS}, "key": self.key}


def read_models(tables: Any) -> Mapping[str, ModelSettings]:
    """Reads `[models.NAME]`; raises ConfigurationError that names the setting, and never repeats a key."""
    if not isinstance(tables, Mapping) or len(tables) > MAX_MODELS:
        found = f"{len(tables)} tables" if isinstance(tables, Mapping) else shown(tables)
        raise ConfigurationError(f"models is {found}: it must be at most {MAX_MODELS} tables, as [models.NAME]")
    settings = {}
    for name, table in tables.items():
        try:
            endpoint = parse_endpoint(name, table)
        except EndpointError as error:
            raise ConfigurationError(str(error)) from error
        _check_certificates(endpoint)
        settings[name] = ModelSettings(endpoint, table, _key(endpoint))
    return MappingProxyType(settings)


def _key(endpoint: Endpoint) -> str:
    where = f"models.{endpoint.name}"
    if endpoint.key_env:
        where = f"{where}.key_env: the variable {endpoint.key_env}"
        key = os.environ.get(endpoint.key_env, "").strip()
    elif endpoint.key_file:
        where = f"{where}.key_file: {endpoint.key_file}"
        key = _read(where, Path(os.path.expanduser(endpoint.key_file)))  # noqa: PTH111 - Path's raises where there is no home
    else:
        return ""
    if not key:
        raise ConfigurationError(f"{where} is empty or missing: put the key into it")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"{where} holds no key: a key is printable ASCII without spaces")
    return key


def _read(where: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigurationError(f"{where} can be read by other users: chmod 600 {path}")
            return file.read(MAX_KEY_BYTES).decode(errors="replace").strip()
    except OSError as error:
        raise ConfigurationError(f"{where}: {error.strerror}") from error


def _check_certificates(endpoint: Endpoint) -> None:
    if endpoint.ca_file:
        try:
            ssl.create_default_context(cafile=endpoint.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"cannot use models.{endpoint.name}.ca_file: {error}") from error
