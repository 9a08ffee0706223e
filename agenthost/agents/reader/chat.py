"""One request to an OpenAI-compatible endpoint: sent, streamed, and read with tolerance for what servers really send.

It knows HTTP and server-sent events, and no conversation. Servers differ in what they accept: a request that is refused for a
field that we can do without is sent again without it, and the field stays out.
"""

import http.client
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 600.0
REPEATS = "repeats"  # as a reason why a reply ended
# A small model may say the same for ever: its reply is read no further once it ends in so many equal passages.
REPEATED_CHARACTERS, REPEATED_WITHIN, MOST_REPEATS = 60, 6_000, 6
LEAST_VARIETY = 8  # different characters, which a line of a table does not have
MAX_ERROR_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
# Fields that some servers refuse, with the words by which their refusal names them.
OPTIONAL = {
    "stream_options": "stream_options",
    "max_tokens": "max_tokens",
    "tools": "tool",
    "response_format": "response_format",
}
_OVERFLOW = re.compile(r"context|too long|maximum.{0,20}(length|tokens)|exceed", re.IGNORECASE)


class ModelError(Exception):
    """The endpoint refused a request, or broke off. `status` is 0 where no answer came."""

    def __init__(self, text: str, status: int = 0, *, is_overflow: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.is_overflow = is_overflow


@dataclass(slots=True)
class Reply:
    """The model's answer to one request. `calls` holds the API's tool calls: `id`, `name` and `arguments` as text."""

    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    judged: int = 0  # characters of it that were looked at for repeats


@dataclass(slots=True)
class Chat:
    """An endpoint, as `http://127.0.0.1:8787/v1`, and the model to ask there. `on_text` and `on_reasoning` hear each piece."""

    base_url: str
    key: str
    model: str
    on_text: Callable[[str], None]
    on_reasoning: Callable[[str], None]
    refused: set[str] = field(default_factory=set)  # optional fields that this server does not take

    def models(self) -> list[dict[str, Any]]:
        """Returns the models that the endpoint lists; raises ModelError."""
        connection, path = self._connect("/models")
        try:
            connection.request("GET", path, headers=self._headers())
            response = connection.getresponse()
            data = response.read(MAX_LINE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise ModelError(f"the model cannot be reached: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise _refusal(response.status, data)
        listed = _json(data)
        found = listed.get("data") if isinstance(listed, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def ask(self, messages: Sequence[Mapping[str, Any]], **wanted: Any) -> Reply:
        """Sends the conversation; `wanted` holds further fields of the request, left out where None. Raises ModelError."""
        body = {
            "model": self.model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body |= {name: value for name, value in wanted.items() if value is not None}
        while True:
            try:
                return self._stream({name: value for name, value in body.items() if name not in self.refused})
            except ModelError as error:
                field_name = _refused_field(error, body, self.refused)
                if not field_name:
                    raise
                self.refused.add(field_name)

    def _stream(self, body: Mapping[str, Any]) -> Reply:
        connection, path = self._connect("/chat/completions")
        reply = Reply()
        try:
            connection.request("POST", path, json.dumps(body).encode(), self._headers())
            response = connection.getresponse()
            if response.status != 200:
                raise _refusal(response.status, response.read(MAX_ERROR_BYTES))
            if "event-stream" in response.getheader("content-type", ""):
                self._read_events(response, reply)
            else:
                self._take(_json(response.read(MAX_LINE_BYTES)), reply)
        except (OSError, http.client.HTTPException) as error:
            raise ModelError(f"the model's answer broke off: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()
        return reply

    def _read_events(self, response: http.client.HTTPResponse, reply: Reply) -> None:
        is_whole = False
        while line := response.readline(MAX_LINE_BYTES):
            name, _, value = line.strip().removeprefix(BOM_UTF8).partition(b":")
            if name == b"data" and value.strip() == b"[DONE]":
                is_whole = True
                break
            if name == b"data":
                self._take(_json(value), reply)
            if _is_due(reply) and (_repeats(reply.text) or _repeats(reply.reasoning)):
                reply.finish_reason = REPEATS
                break
        if not is_whole and not reply.finish_reason:
            raise ModelError("the model's answer broke off before its end")

    def _take(self, event: Any, reply: Reply) -> None:
        """Takes one event, or a whole answer of a server that does not stream."""
        if not isinstance(event, dict):
            return
        if event.get("error"):
            raise _refusal(500, json.dumps(event).encode())
        usage = event.get("usage")
        if isinstance(usage, dict):
            reply.input_tokens = _count(usage.get("prompt_tokens")) or reply.input_tokens
            reply.output_tokens = _count(usage.get("completion_tokens")) or reply.output_tokens
        for choice in _list(event.get("choices")):
            if isinstance(choice, dict):
                reply.finish_reason = choice.get("finish_reason") or reply.finish_reason
                delta = choice.get("delta") or choice.get("message")
                if isinstance(delta, dict):
                    self._take_delta(delta, reply)

    def _take_delta(self, delta: Mapping[str, Any], reply: Reply) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str):
            reply.reasoning += thought
            self.on_reasoning(thought)
        if isinstance(text := delta.get("content"), str) and text:
            reply.text += text
            self.on_text(text)
        for position, call in enumerate(_list(delta.get("tool_calls"))):
            if isinstance(call, dict):
                _add_call(reply.calls, call, position)

    def _connect(self, path: str) -> tuple[http.client.HTTPConnection, str]:
        url = urlsplit(self.base_url)
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=ANSWER_SECONDS), url.path.rstrip(
            "/"
        ) + path

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


def _is_due(reply: Reply) -> bool:
    """Returns whether so much came that repeats are worth looking for."""
    size = len(reply.text) + len(reply.reasoning)
    if size - reply.judged < REPEATED_CHARACTERS:
        return False
    reply.judged = size
    return True


def _repeats(text: str) -> bool:
    """Returns whether a text ends in equal passages, one after the other: lists of findings look alike, and are not equal."""
    end = text[-REPEATED_WITHIN:]
    start = len(end) - REPEATED_CHARACTERS
    before = end.rfind(end[start:], 0, len(end) - 1)
    passage = end[len(end) - (start - before) :]
    return before >= 0 and end.endswith(passage * MOST_REPEATS) and len(set(passage)) >= LEAST_VARIETY


def _add_call(calls: list[dict[str, str]], delta: Mapping[str, Any], position: int) -> None:
    """Adds a piece of a tool call; some servers send no index, some a whole call at once."""
    index = delta.get("index")
    number = index if isinstance(index, int) and 0 <= index < 64 else position
    while len(calls) <= number:
        calls.append({"id": "", "name": "", "arguments": ""})
    call, function = calls[number], delta.get("function")
    call["id"] = call["id"] or str(delta.get("id") or "")
    if isinstance(function, dict):
        call["name"] = call["name"] or str(function.get("name") or "")
        given = function.get("arguments")
        call["arguments"] += given if isinstance(given, str) else json.dumps(given) if given else ""


def _refused_field(error: ModelError, body: Mapping[str, Any], known: set[str]) -> str:
    if error.status not in {400, 404, 422, 500, 501} or error.is_overflow:
        return ""
    text = str(error).lower()
    return next((name for name, word in OPTIONAL.items() if name in body and name not in known and word in text), "")


def _refusal(status: int, data: bytes) -> ModelError:
    told = _json(data)
    error = told.get("error") if isinstance(told, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    said = str(text or data.decode("utf-8", "replace")).strip()[:500]
    is_overflow = status in {400, 413, 422} and bool(_OVERFLOW.search(said))
    if isinstance(error, dict) and error.get("code") == "upstream_unreachable":
        return ModelError(f"the model cannot be reached: {said}", status)
    return ModelError(f"the model refused the request with HTTP {status}: {said}", status, is_overflow=is_overflow)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
