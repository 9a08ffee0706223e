"""Parses a model endpoint as an operator configures it, under `[models.NAME]`: address, API, key's place, open paths.

Pure: no key is ever held here, only its place. A request cannot change any of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, urlsplit

from agenthost.core.models.provider_tools import plain_name
from servicekit.errors import shown, there_are

MODEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
PROVIDERS_NAME = re.compile(r"[A-Za-z0-9._:/@+-]{0,200}")
MAX_AT_ONCE = 1000
MAX_CONTEXT = 99_999_999
MAX_RULES = 100
MAX_PROVIDER_TOOLS = 50
MAX_REQUEST_FIELDS = 100
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RULE = re.compile(r"(?:(GET|POST) )?(/[A-Za-z0-9._~:/-]*)")
_POOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TOOL = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIELD = re.compile(r"[A-Za-z0-9_.$?=:-]{1,100}")
_HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9a-fA-F:.]+")
_KEYS = frozenset(
    {
        "url", "api", "key_env", "key_file", "paths", "max_concurrent", "ca_file", "provider_tools", "model", "context",
        "slots", "pool", "request_fields",
    }
)  # fmt: skip


class EndpointError(ValueError):
    """A `[models.NAME]` table is wrong; the text names the place."""


class Api(StrEnum):
    """The API that an endpoint speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


@dataclass(frozen=True, slots=True)
class PathRule:
    """A path that agents may ask for. One that ends in "/" opens everything below it, any other only itself."""

    method: str
    path: str

    def admits(self, method: str, path: str) -> bool:
        """Returns whether a request falls under this rule."""
        is_under = path.startswith(self.path) and path != self.path if self.path.endswith("/") else path == self.path
        return method == self.method and is_under


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model endpoint. `base` is the part of its url before every path, without a slash at its end."""

    name: str
    api: Api
    tls: bool
    host: str
    port: int
    base: str
    rules: tuple[PathRule, ...]
    key_env: str = ""
    key_file: str = ""
    ca_file: str = ""
    max_concurrent: int = 8
    model: str = ""  # the name to ask for where a flow gives none
    context: int = 0  # tokens of one request and its answer; 0 where the server is to tell
    slots: int = 0  # requests that the server works on at once; 0 where it is to tell
    pool: str = ""  # the name under which all hosts count its slots; empty for one that follows from its address
    provider_tools: frozenset[str] = frozenset()  # what the provider may do on its side beyond thinking
    request_fields: frozenset[str] = frozenset()  # fields and "?parameters" of requests, beyond those that are listed

    @property
    def url(self) -> str:
        """Returns its address as an operator would write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.base}"


# What an agent needs in order to think, and nothing that stores, fetches or administers.
_DEFAULT_PATHS: Mapping[Api, tuple[str, ...]] = {
    Api.OPENAI: (
        "POST /v1/chat/completions",
        "POST /v1/responses",
        "POST /v1/completions",
        "POST /v1/embeddings",
        "GET /v1/models",
        "GET /v1/models/",
    ),
    Api.ANTHROPIC: ("POST /v1/messages", "POST /v1/messages/count_tokens", "GET /v1/models", "GET /v1/models/"),
    Api.GEMINI: ("POST /v1beta/models/", "GET /v1beta/models", "GET /v1beta/models/", "POST /v1/models/"),
}


DEFAULT_RULES: Mapping[Api, tuple[PathRule, ...]] = {
    api: tuple(PathRule(*text.split(" ")) for text in texts) for api, texts in _DEFAULT_PATHS.items()
}


def parse_endpoint(name: str, table: Any) -> Endpoint:
    """Reads one table; raises EndpointError for its first fault."""
    if not MODEL_NAME.fullmatch(name):
        raise EndpointError(f"models.{name}: a model's name must match {MODEL_NAME.pattern}")
    if not isinstance(table, Mapping):
        raise EndpointError(f"models.{name} is {shown(table)}: it must be a table, as [models.{name}]")
    if unknown := sorted(set(table) - _KEYS):
        known = there_are(unknown[0], sorted(_KEYS))
        raise EndpointError(f"models.{name}.{unknown[0]} is not a setting of a model{known}")
    try:
        api = Api(table.get("api", Api.OPENAI))
    except ValueError as error:
        raise EndpointError(
            f"models.{name}.api is {shown(table['api'])}: it must be one of {', '.join(Api)}"
        ) from error
    url = _url(name, table)
    rules = _rules(name, table.get("paths", list(_DEFAULT_PATHS[api])))
    endpoint = Endpoint(
        name=name,
        api=api,
        tls=url.scheme == "https",
        host=url.hostname or "",
        port=url.port or (443 if url.scheme == "https" else 80),
        base=_base(url.path, rules),
        rules=rules,
        key_env=_string(name, table, "key_env"),
        key_file=_string(name, table, "key_file"),
        ca_file=_string(name, table, "ca_file"),
        model=_string(name, table, "model"),
        max_concurrent=_number(name, table, "max_concurrent", 8, MAX_AT_ONCE),
        context=_number(name, table, "context", 0, MAX_CONTEXT),
        # Before there were slots, `max_concurrent` was how an operator said what a server can do.
        slots=_number(name, table, "slots", int(table.get("max_concurrent", 0)), MAX_AT_ONCE),
        pool=_string(name, table, "pool"),
        provider_tools=_provider_tools(name, table.get("provider_tools", [])),
        request_fields=_request_fields(name, table.get("request_fields", [])),
    )
    _check(endpoint)
    return endpoint


def _check(endpoint: Endpoint) -> None:
    where = f"models.{endpoint.name}"
    if endpoint.key_env and endpoint.key_file:
        raise EndpointError(f"{where}: give key_env or key_file, not both")
    if endpoint.key_env and not _VARIABLE.fullmatch(endpoint.key_env):
        # What stands there may be the key itself: it is not repeated.
        raise EndpointError(f"{where}.key_env must be the name of a variable that holds the key, not the key")
    if (endpoint.key_env or endpoint.key_file) and not endpoint.tls and endpoint.host not in LOOPBACK:
        raise EndpointError(f"{where}.url would send the key over the network in the clear: use https")
    if not PROVIDERS_NAME.fullmatch(endpoint.model):
        raise EndpointError(
            f"{where}.model is {shown(endpoint.model)}: it must match {PROVIDERS_NAME.pattern}, as the provider names it"
        )
    if endpoint.pool and not _POOL.fullmatch(endpoint.pool):
        raise EndpointError(f"{where}.pool is '{endpoint.pool}': it must match {_POOL.pattern}, as 'gpu0'")
    if endpoint.ca_file and not endpoint.tls:
        raise EndpointError(f"{where}.ca_file is for https, but url is http: change url or leave ca_file out")


def _base(path: str, rules: tuple[PathRule, ...]) -> str:
    """Returns what stands before every path; people write the url with the /v1 of the paths, with a whole path, and without."""
    base = path.rstrip("/")
    for rule in sorted(rules, key=lambda rule: len(rule.path), reverse=True):
        if base.endswith(rule.path.rstrip("/")):
            return base.removesuffix(rule.path.rstrip("/"))
    before, _, last = base.rpartition("/")
    return before if last and all(f"{rule.path}/".startswith(f"/{last}/") for rule in rules) else base


def _url(name: str, table: Mapping[str, Any]) -> SplitResult:
    where, text = f"models.{name}.url", _string(name, table, "url")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise EndpointError(f"{where} is not an address: write http://HOST[:PORT][/PATH] or https://…") from error
    if url.scheme not in {"http", "https"} or not url.hostname or not _HOST.fullmatch(url.hostname) or port == 0:
        shown = f" is '{text}':" if text and not set("@?#") & set(text) else " is required:"  # there a key may stand
        raise EndpointError(f"{where}{shown} it must be http://HOST[:PORT][/PATH] or https://…")
    if url.username or url.password or url.query or url.fragment:
        raise EndpointError(f"{where} must hold no user, query or fragment: put a key into key_env or key_file")
    if not _RULE.fullmatch(url.path or "/") or _is_devious(url.path):
        raise EndpointError(f"{where} has a path with an empty part, a dot part or a special character")
    return url


def _rules(name: str, texts: Any) -> tuple[PathRule, ...]:
    where = f"models.{name}.paths"
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_RULES:
        raise EndpointError(
            f"{where} is {shown(texts)}: it must be a list of 1 to {MAX_RULES} paths, as ['POST /v1/chat/completions']"
        )
    rules = []
    for text in texts:
        match = _RULE.fullmatch(text) if isinstance(text, str) else None
        if match is None or _is_devious(match[2]):
            raise EndpointError(f"{where}: {text!r} is not '/PATH', 'POST /PATH' or 'GET /PATH'; '/PATH/' is all below")
        rules.append(PathRule(match[1] or "POST", match[2]))
    return tuple(rules)


def _provider_tools(name: str, tools: Any) -> frozenset[str]:
    where = f"models.{name}.provider_tools"
    if not isinstance(tools, list) or len(tools) > MAX_PROVIDER_TOOLS:
        raise EndpointError(
            f"{where} is {shown(tools)}: it must be a list of at most {MAX_PROVIDER_TOOLS} names, as ['web_search']"
        )
    for tool in tools:
        if not isinstance(tool, str) or not _TOOL.fullmatch(tool):
            raise EndpointError(f"{where}: {tool!r} is not a name as 'web_search'")
        if plain_name(tool) != tool:
            raise EndpointError(f"{where}: leave the edition out of '{tool}': '{plain_name(tool)}' means all of them")
    return frozenset(tools)


def _request_fields(name: str, fields: Any) -> frozenset[str]:
    where = f"models.{name}.request_fields"
    if not isinstance(fields, list) or len(fields) > MAX_REQUEST_FIELDS:
        raise EndpointError(f"{where} must be a list of at most {MAX_REQUEST_FIELDS} names, as ['metadata.team']")
    for field in fields:
        if not isinstance(field, str) or not _FIELD.fullmatch(field):
            raise EndpointError(f"{where}: {field!r} is not a name as 'metadata.team' or '?parameter'")
    return frozenset(fields)


def _is_devious(path: str) -> bool:
    return "//" in path or any(part in {".", ".."} for part in path.split("/"))


def _number(name: str, table: Mapping[str, Any], key: str, default: int, most: int) -> int:
    value = table.get(key, default)
    if key in table and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most):
        raise EndpointError(f"models.{name}.{key} is {shown(value)}: it must be a whole number from 1 to {most}")
    return int(value)


def _string(name: str, table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or "\0" in value:
        found = (
            type(value).__name__ if key.startswith("key") else shown(value)
        )  # what stands there may be the key itself
        raise EndpointError(f"models.{name}.{key} is {found}: it must be a string")
    return value
