"""Finds what a request asks a model's provider to do beyond thinking: search, fetch, run code, call other services.

"Network: only the model endpoint" would mean little if the endpoint went anywhere at the agent's request. So tools that the
provider runs are named here, and `gateway_rules` refuses those that the operator did not allow. The agent's own tools, which run
in its sandbox, are not the provider's: functions, and the shell, editor or patch tools of the known clients.

Requests of the known APIs are judged by lists of their fields (`fields`), which ask here for tools and models only. For a path that
an operator opened beyond them, `provider_tools` reads the shapes of all APIs. A tool that is not known to be the agent's own
counts as the provider's. A body that two readers could read differently is refused: not JSON, a key twice, NaN. Names are compared
without case, dates and "preview": `web_search_20250305` is `web_search`. Pure.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_VALUES = 2_000_000  # of a body, counted by what separates them: what it takes in memory, not only on the wire

UNKNOWN = "an unknown tool"  # no operator can allow it by name
URL_SOURCES = "url_sources"  # pictures and documents that the provider is to fetch

_OWN_KINDS = frozenset({"function", "custom", "local_shell", "apply_patch"})
_OWN_PREFIXES = ("bash_", "text_editor_", "memory_")  # dated: Anthropic's, run by the client
_OWN_FIELDS = frozenset({"function_declarations"})  # Gemini's tools are told apart by their only field
_DESCRIBED = frozenset({"name", "input_schema", "function"})  # a function without a kind has one of these
_GEMINI_FIELDS = frozenset(
    {
        "google_search", "google_search_retrieval", "enterprise_web_search", "google_maps", "url_context", "code_execution",
        "file_search", "retrieval", "computer_use", "mcp_servers",
    }
)  # fmt: skip
# Whole features of a request, and the tool that each amounts to. A stored prompt or cache may hold any tool.
_SWITCHES: Mapping[str, str] = {
    "mcp_servers": "mcp", "web_search_options": "web_search", "search_parameters": "web_search", "enable_search": "web_search",
    "search_options": "web_search", "plugins": "plugins", "container": "code_execution", "data_sources": "data_sources",
    "cached_content": "cached_content", "preset": "stored_prompt", "connectors": "connectors", "compound_custom": "compound",
    "enable_code_interpreter": "code_interpreter",
}  # fmt: skip
_ENVELOPES = frozenset(
    {
        "batch",
        "input_config",
        "requests",
        "request",
        "generate_content_request",
        "params",
        "parameters",
        "body",
        "response",
    }
)
_CONTENTS = frozenset({"messages", "input", "contents", "system", "system_instruction"})
_URL_FIELDS = frozenset({"image_url", "file_url", "video_url", "audio_url", "document_url", "file_uri"})
# What the agent's own tools were called with, and answered: data, whatever it looks like.
_OPAQUE = frozenset({"args", "arguments", "response"})
# Models that search by themselves, and names of stored requests at the provider.
_SEARCHING_MODEL = re.compile(r"search-preview|search-api|:online|\b(sonar|compound)\b", re.IGNORECASE)
_STORED_MODEL = "@preset/"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_EDITION = re.compile(r"(_preview)?([_-]\d{8}|[_-]\d{4}[_-]\d{2}[_-]\d{2})?")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class UnreadableBodyError(ValueError):
    """Not every reader would read this body in the same way; the text says why."""


def plain_name(name: str) -> str:
    """Returns a tool's name without its edition, as operators allow it."""
    name = _plain(name)
    edition = next(match for at in range(len(name) + 1) if (match := _EDITION.fullmatch(name, at)))
    return name[: edition.start()]


def provider_tools(request: Mapping[str, Any]) -> frozenset[str]:
    """Returns the names of all that the provider is asked to do beyond thinking, for a path whose fields no list knows."""
    return _named(_asked(request))


def named_tools(tool: Any) -> frozenset[str]:
    """Returns the names by which one of a request's tools is the provider's; none for the agent's own."""
    return _named(_tools(tool))


def named_models(value: Any) -> frozenset[str]:
    """Returns the tools that a model's name, or one of several, implies."""
    return _named(_model(value))


def _named(names: Iterator[str]) -> frozenset[str]:
    return frozenset(name if _NAME.fullmatch(name) else UNKNOWN for name in names)


def read_body(body: bytes) -> dict[str, Any]:
    """Returns a request's body; raises UnreadableBodyError where two readers could read it differently."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise UnreadableBodyError(f"it holds more than {MAX_VALUES} values")
    try:
        request = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise UnreadableBodyError("it is nested too deeply") from error
    except UnreadableBodyError:
        raise
    except ValueError as error:
        raise UnreadableBodyError("it is not JSON in UTF-8") from error
    if not isinstance(request, dict):
        raise UnreadableBodyError("it is not a JSON object")
    return request


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) != len(pairs):
        raise UnreadableBodyError("an object has the same key twice")
    return known


def _constant(name: str) -> Any:
    raise UnreadableBodyError(f"{name} is not JSON")


def _plain(name: str) -> str:
    """Returns a name in snake case: endpoints take `googleSearch` and `google_search` alike, and some take `Tools`."""
    return _HUMP.sub("_", name).lower()


def _asked(request: Mapping[str, Any]) -> Iterator[str]:
    for key, value in request.items():
        name = _plain(key)
        if name == "tools":
            yield from _tools(value)
        elif name in _SWITCHES and value not in (None, False, []):
            yield _SWITCHES[name]
        elif name == "prompt" and isinstance(value, Mapping):
            yield "stored_prompt"
        elif name in {"model", "models"}:
            yield from _model(value)
        elif name in _CONTENTS and _fetches(value):
            yield URL_SOURCES
        elif name in _ENVELOPES:
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, Mapping):
                    yield from _asked(inner)


def _model(value: Any) -> Iterator[str]:
    """Yields the tools that a model's name implies. Some endpoints take several models, and use the first that is free."""
    for model in value if isinstance(value, list) else [value]:
        if isinstance(model, str) and _SEARCHING_MODEL.search(model):
            yield "web_search"
        if isinstance(model, str) and _STORED_MODEL in model.lower():
            yield "stored_prompt"


def _tools(value: Any) -> Iterator[str]:
    if value is None:
        return
    for tool in value if isinstance(value, list) else [value]:
        yield from _tool(tool) if isinstance(tool, Mapping) else (UNKNOWN,)


def _tool(tool: Mapping[str, Any]) -> Iterator[str]:
    fields = {_plain(name): value for name, value in tool.items()}
    if len(fields) != len(tool):
        yield UNKNOWN  # which of two fields counts is the endpoint's guess
    yield from fields.keys() & _GEMINI_FIELDS
    kind = fields.get("type")
    if kind is None:
        if not fields.keys() & _DESCRIBED:
            yield from (fields.keys() - _OWN_FIELDS) or (() if fields else (UNKNOWN,))
    elif not isinstance(kind, str):
        yield UNKNOWN
    elif kind == "namespace":
        yield from _tools(fields.get("tools"))
    elif not _is_own(kind, fields):
        yield plain_name(kind)


def _is_own(kind: str, fields: Mapping[str, Any]) -> bool:
    if kind == "tool_search":
        return fields.get("execution") == "client"
    if kind == "shell":
        place = fields.get("environment")
        return isinstance(place, Mapping) and place.get("type") == "local"
    return kind in _OWN_KINDS or kind.startswith(_OWN_PREFIXES)


def _fetches(content: Any) -> bool:
    """Returns whether a content holds an address that the provider would have to fetch."""
    waiting = [content]
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, list):
            waiting += piece
        elif isinstance(piece, Mapping):
            if any(_is_address(_plain(key), value, piece.get("type")) for key, value in piece.items()):
                return True
            waiting += [value for key, value in piece.items() if not _is_opaque(key, piece)]
    return False


def _is_address(name: str, value: Any, kind: Any) -> bool:
    if isinstance(value, Mapping):
        value = next((inner for key, inner in value.items() if _plain(key) == "url"), None)
    if not isinstance(value, str) or value[:5].lower() == "data:":
        return False
    return name in _URL_FIELDS or (name == "url" and kind == "url")


def _is_opaque(key: str, piece: Mapping[str, Any]) -> bool:
    return _plain(key) in _OPAQUE or (key == "input" and str(piece.get("type")).endswith("tool_use"))
