"""Decides what the gateway passes between an agent and its model endpoint, and with which headers. Carries nothing.

The agent is hostile: whatever it sends is a request to this one endpoint under one of its rules, or is refused. So

- a path is plain (no dots, no doubled slashes, no escapes that could mean one) and falls under a rule of the endpoint;
- only listed headers pass; the others stay here, and the key is put in;
- only listed parameters of a query pass, and a key in it is dropped like one in a header;
- a body is read as a whole before any of it is sent. It is JSON, not compressed, within a bound, has only the fields that are
  listed for its API (see `fields`), and asks the provider for thinking only, and for what the operator allowed by name.

An answer that would lead elsewhere (3xx), or that cannot be read on its way (encoded), is not passed on.
"""

import json
import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from agenthost.core.models.endpoint import DEFAULT_RULES, Api, Endpoint
from agenthost.core.models.fields.apis import fields_of
from agenthost.core.models.fields.nodes import Fields, Found
from agenthost.core.models.provider_tools import UNKNOWN, UnreadableBodyError, provider_tools, read_body

PORT = 8787  # where an agent finds its endpoint, on 127.0.0.1 of a network of its own
PLACEHOLDER = "placeholder-the-gateway-has-the-key"  # some clients refuse to start without a key

MAX_TARGET_BYTES = 4096
MAX_HEADERS = 100
MAX_REQUEST_BYTES = 16 * 1024 * 1024  # held in memory until it is judged, by at most `max_concurrent` at once
MAX_NAMED = 5  # tools in a refusal

Headers = tuple[tuple[bytes, bytes], ...]

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~:/@-]*")
_THINKING = re.compile(r"/(completions|responses|messages)$|:(stream)?generateContent$", re.IGNORECASE)
_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
        b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
# What clients say of themselves and of their request; seen from qwen, claude, codex, gemini, opencode, pi and the usual libraries.
_TO_THE_MODEL = frozenset(
    {
        b"accept", b"accept-language", b"content-length", b"transfer-encoding", b"content-encoding", b"user-agent",
        b"anthropic-version", b"anthropic-beta", b"anthropic-dangerous-direct-browser-access", b"x-app", b"x-goog-api-client",
        b"openai-beta", b"originator", b"session-id", b"session_id", b"thread-id", b"conversation-id", b"conversation_id",
        b"x-session-id", b"x-session-affinity", b"x-request-id", b"x-client-request-id", b"x-initiator", b"idempotency-key",
        b"http-referer", b"x-title", b"x-openrouter-title", b"x-openrouter-categories", b"x-dashscope-useragent",
        b"x-dashscope-cachecontrol", b"cache-control", b"pragma", b"sec-fetch-mode", b"traceparent", b"tracestate",
    }
)  # fmt: skip
_TO_THE_MODEL_BEGIN = (b"x-stainless-", b"x-codex-", b"x-claude-code-")
# Every client sends some of these: they stay here without a word.
_EXPECTED = frozenset(
    {
        b"host", b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"expect", b"accept-encoding", b"cookie", b"origin",
        b"referer", b"dnt", b"content-type", b"priority", b"sec-fetch-dest", b"sec-fetch-site",
    }
)  # fmt: skip
FRAMING = frozenset(
    {b"content-length", b"transfer-encoding", b"content-type"}
)  # of an answer; the mask of the key does not touch them
_NOT_TO_THE_AGENT = frozenset({b"set-cookie", b"set-cookie2", b"alt-svc", b"location", b"www-authenticate"})
_KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "access_token"})
_PARAMETERS = frozenset(
    {
        "alt", "beta", "api-version", "client_version", "limit", "order", "after", "before", "after_id", "before_id", "pageSize",
        "page_size", "pageToken", "page_token", "prettyPrint",
    }
)  # fmt: skip
_NOT_LISTED = {"field": "field_not_listed", "parameter": "parameter_not_listed"}
_SHOWN_NAME = re.compile(r"[A-Za-z0-9_.$?=:/-]{1,100}")


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request, as the agent sent it."""

    method: bytes
    target: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Forward:
    """The request that is sent to the endpoint instead."""

    method: bytes
    target: bytes
    headers: Headers
    may_be_repeated: bool = False  # on another connection, if the first one turns out to be dead
    thinks: bool = False  # it asks the model for an answer, not for a list or a count
    fields: Fields | None = None  # that its body may have; None for a path that an operator opened
    kept_back: tuple[str, ...] = ()  # names of headers that are not passed on


@dataclass(frozen=True, slots=True)
class Refusal:
    """The gateway's own answer to the agent. `code` is for programs, `text` for people; neither holds the key."""

    status: int
    code: str
    text: str
    retry_after_seconds: int | None = None
    kept_back: tuple[str, ...] = ()  # what of the request is not open, by name

    def body(self) -> bytes:
        """Returns an error that the clients of all three APIs can read."""
        error = {"type": self.code, "code": self.code, "message": f"agenthost gateway: {self.text}"}
        return json.dumps({"type": "error", "error": error}).encode()


def judge(request: Request, endpoint: Endpoint, key: str) -> Forward | Refusal:
    """Returns the request to forward, or the refusal."""
    path, mark, query = request.target.decode("ascii", "replace").partition("?")
    method = request.method.decode("ascii", "replace")
    fields = fields_of(method, path)
    if refusal := _judge_head(request, endpoint, method, path):
        return refusal
    parameters = _plain_parameters(query, endpoint) if mark else ""
    if isinstance(parameters, Refusal):
        return parameters
    target = f"{endpoint.base}{path}" + (f"?{parameters}" if parameters else "")
    passed, kept_back = _listed(request.headers)
    known = dict(request.headers)
    is_chunked = b"content-length" not in known and b"transfer-encoding" in known
    headers = (
        (b"host", authority_of(endpoint)),
        *passed,
        # The gateway judged the body as JSON in UTF-8. So the endpoint must not read it as a form, also where the agent says so.
        *(((b"content-type", b"application/json"),) if method == "POST" else ()),
        # What cannot be read cannot be metered or searched for the key.
        (b"accept-encoding", b"identity"),
        *(((b"transfer-encoding", b"chunked"),) if is_chunked else ()),
        *credentials_of(endpoint.api, key),
    )
    # Thinking twice changes only the bill; other paths that an operator opened may do more.
    may_be_repeated = method == "GET" or any(rule.admits(method, path) for rule in DEFAULT_RULES[endpoint.api])
    thinks = method == "POST" and bool(_THINKING.search(path))
    return Forward(request.method, target.encode(), headers, may_be_repeated, thinks, fields, kept_back)


def _judge_head(request: Request, endpoint: Endpoint, method: str, path: str) -> Refusal | None:
    if len(request.target) > MAX_TARGET_BYTES or len(request.headers) > MAX_HEADERS:
        return Refusal(
            431,
            "request_too_large",
            f"the request's head is too large: at most {MAX_TARGET_BYTES} bytes of target and {MAX_HEADERS} headers",
        )
    if not _is_open(endpoint, method, path):
        return Refusal(
            403,
            "path_not_allowed",
            f"model '{endpoint.name}' is not open for this method and path; an operator may add it to its paths",
            kept_back=("path " + _shown(path, "with an odd name"),),
        )
    known = dict(request.headers)
    length = known.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > MAX_REQUEST_BYTES:
        return too_large()
    if b"content-length" in known and b"transfer-encoding" in known:
        return Refusal(400, "malformed_request", "a request says its length once: either content-length or chunked")
    if _is_encoded(request.headers):
        return Refusal(
            415, "encoded_request", "a request's body must not be compressed: the gateway could not check it"
        )
    return None


def _is_open(endpoint: Endpoint, method: str, path: str) -> bool:
    """Returns whether a rule admits a path. One whose fields no list knows needs a rule that an operator wrote."""
    parts = path.split("/")
    if not _PLAIN_PATH.fullmatch(path) or {".", ".."} & set(parts) or "" in parts[1:-1]:
        return False
    is_listed, usual = fields_of(method, path) is not None, DEFAULT_RULES[endpoint.api]
    return any(rule.admits(method, path) and (is_listed or rule not in usual) for rule in endpoint.rules)


def judge_body(body: bytes, endpoint: Endpoint, fields: Fields | None = None) -> Refusal | None:
    """Returns the refusal of a body; None when it may be sent. Slow for a large one."""
    if not body:
        return None
    found = Found(endpoint.request_fields)
    try:
        request = read_body(body)
        if fields:
            fields.judge(request, "", found)
        else:
            found.tools |= provider_tools(request)
    except UnreadableBodyError as error:
        return Refusal(400, "unreadable_request", f"cannot check the body: {error}")
    except RecursionError:
        return Refusal(400, "unreadable_request", "cannot check the body: it is nested too deeply")
    return _refusal_of_tools(found.tools, endpoint) or _refusal_of_fields(found.fields, endpoint, "field")


def _refusal_of_fields(names: Sequence[str], endpoint: Endpoint, kind: str) -> Refusal | None:
    if not names:
        return None
    shown = [_shown(name, f"a {kind} with an odd name") for name in dict.fromkeys(names)][:MAX_NAMED]
    quoted = ", ".join(f'"{name}"' for name in shown if _SHOWN_NAME.fullmatch(name))
    text = f"the request's {kind} {', '.join(shown)} is not listed for its API, so it is not passed on"
    if quoted:
        text += f"; an operator may open it under [models.{endpoint.name}]: request_fields = [{quoted}]"
    return Refusal(403, _NOT_LISTED[kind], text, kept_back=tuple(f"{kind} {name}" for name in shown))


def _shown(name: str, otherwise: str) -> str:
    return name if _SHOWN_NAME.fullmatch(name) else otherwise


def _refusal_of_tools(asked: AbstractSet[str], endpoint: Endpoint) -> Refusal | None:
    if refused := sorted(asked - endpoint.provider_tools):
        text = (
            f"the request asks the provider to run {', '.join(refused[:MAX_NAMED])} on its side, which is not open here"
        )
        if allowable := sorted(asked - {UNKNOWN})[:MAX_NAMED]:
            names = ", ".join(f'"{name}"' for name in allowable)
            text += f"; an operator may allow it under [models.{endpoint.name}]: provider_tools = [{names}]"
        kept_back = tuple(f"provider tool {name}" for name in refused[:MAX_NAMED])
        return Refusal(403, "provider_tool_not_allowed", text, kept_back=kept_back)
    return None


def judge_answer(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Headers | Refusal:
    """Returns the headers of an answer to pass on, or the refusal."""
    if 300 <= status < 400:
        return Refusal(
            502, "upstream_redirected", f"the endpoint redirects (HTTP {status}), which the gateway does not follow"
        )
    known = tuple(headers)
    if _is_encoded(known):
        return Refusal(502, "upstream_encoded", "the endpoint encodes its answers although it was asked not to")
    # Of two lengths, the chunks count (RFC 9112, 6.3): the other one would not fit what is passed on.
    is_chunked = any(name.lower() == b"transfer-encoding" for name, _ in known)
    return _kept(known, _NOT_TO_THE_AGENT | ({b"content-length"} if is_chunked else frozenset()))


def _is_encoded(headers: Headers) -> bool:
    """Returns whether any content-encoding is set: of several such headers each counts, not the last."""
    named = [value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"]
    return any(value not in {b"identity", b""} for value in named)


def too_large() -> Refusal:
    """Returns the refusal of a request that is too large."""
    return Refusal(
        413, "request_too_large", f"the request is larger than {MAX_REQUEST_BYTES} bytes, the most that is taken"
    )


def variables_for(api: Api) -> dict[str, str]:
    """Returns the variables in which usual clients look for their endpoint. None is secret."""
    root = f"http://127.0.0.1:{PORT}"
    match api:
        case Api.OPENAI:
            return {"OPENAI_BASE_URL": f"{root}/v1", "OPENAI_API_KEY": PLACEHOLDER}
        case Api.ANTHROPIC:
            return {"ANTHROPIC_BASE_URL": root, "ANTHROPIC_API_KEY": PLACEHOLDER}
        case Api.GEMINI:
            return {"GOOGLE_GEMINI_BASE_URL": root, "GEMINI_API_KEY": PLACEHOLDER}


def _kept(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> Headers:
    known = tuple((name.lower(), value) for name, value in headers)
    named = {word.strip().lower() for name, value in known if name == b"connection" for word in value.split(b",")}
    # `Connection` lists headers to drop; those that frame the body must not be among them.
    gone = _HOP_BY_HOP | dropped | (named - {b"content-length", b"content-type"})
    return tuple(
        (name, value) for name, value in known if name not in gone and not name.startswith((b"x-forwarded-", b"proxy-"))
    )


def credentials_of(api: Api, key: str) -> Headers:
    """Returns the header that carries a key, as the API wants it."""
    if not key:
        return ()
    match api:
        case Api.OPENAI:
            return ((b"authorization", f"Bearer {key}".encode()),)
        case Api.ANTHROPIC:
            return ((b"x-api-key", key.encode()),)
        case Api.GEMINI:
            return ((b"x-goog-api-key", key.encode()),)


def _plain_parameters(query: str, endpoint: Endpoint) -> str | Refusal:
    """Returns the query without keys; the refusal where it says more than is listed, as Google's `$httpHeaders` do."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return Refusal(400, "malformed_request", "the query of the request has too many parameters")
    kept = [(name, value) for name, value in pairs if name.lower() not in _KEY_PARAMETERS]
    opened = {name[1:] for name in endpoint.request_fields if name.startswith("?")}
    odd = [
        f"?{name}"
        for name, value in kept
        if name not in _PARAMETERS | opened or (name, value.lower()) == ("alt", "media")
    ]
    return _refusal_of_fields(odd, endpoint, "parameter") or urlencode(kept)


def _listed(headers: Headers) -> tuple[Headers, tuple[str, ...]]:
    """Returns the headers that pass, and the names of those that are kept back."""
    passed, kept_back = [], dict[str, None]()
    for name, value in _kept(headers, frozenset()):
        if name in _TO_THE_MODEL or name.startswith(_TO_THE_MODEL_BEGIN):
            passed.append((name, value))
        elif name not in _EXPECTED:
            kept_back[f"header {_shown(name.decode('ascii', 'replace'), 'with an odd name')}"] = None
    return tuple(passed), tuple(kept_back)[:MAX_NAMED]


def authority_of(endpoint: Endpoint) -> bytes:
    """Returns the value of the header `host`."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    usual = 443 if endpoint.tls else 80
    return (host if endpoint.port == usual else f"{host}:{endpoint.port}").encode()
