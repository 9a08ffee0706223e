"""Reads an answer of a model as it passes: its tokens, the model's name, and whether it ended well.

Best effort, and bounded: an answer that is neither JSON nor an event stream, or is too long, passes unread. Where its type does not
say what it is, its first bytes do. It reads the shapes of
OpenAI (both), Anthropic and Gemini; within one answer the numbers are totals so far, so the largest counts.

A stream may break off without breaking HTTP. One that began as a model's answer, and has no end in any of these shapes, is cut.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agenthost.core.models.refusals import MAX_ERROR_BYTES, ModelTrouble, trouble_in_stream, trouble_of
from agenthost.core.output.utf8 import plain

MAX_KEPT_BYTES = 4 * 1024 * 1024  # of a JSON answer, or of one event
MAX_COUNT = 2**53
MAX_NAME_CHARACTERS = 200
# A server that counts less than this share of the estimate has read only a part of the prompt.
CHARACTERS_PER_TOKEN, CUT_SHARE, CUT_FROM_TOKENS = 3.6, 0.5, 2_000

_BEGINNING = re.compile(rb'"(choices|candidates)"|"type"\s*:\s*"(message_start|response\.created)"')
_END = re.compile(
    rb'^data:\s*\[DONE\]|"(finish_reason|finishReason|stop_reason)"\s*:\s*"[^"]|"done"\s*:\s*true'
    rb'|"type"\s*:\s*"(message_stop|response\.(completed|incomplete|failed)|error)"'
)
# Types under which some servers send a stream or JSON all the same.
_VAGUE = frozenset({b"", b"text/plain", b"application/octet-stream", b"text/html"})
_STREAM_BEGINS = (b"data:", b"event:", b"id:", b"retry:", b":")
_GUESSED_BYTES = 6
# Most events of a stream are words: looking for these first spares reading them.
_NOTABLE = re.compile(
    rb'[uU]sage|[eE]rror|refusal|content_filter|blockReason|finishReason|stop_reason|"length"|incomplete'
)
_REFUSING = frozenset({"content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION"})
_AT_LIMIT = frozenset({"length", "max_tokens", "max_output_tokens", "MAX_TOKENS", "model_context_window_exceeded"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that one answer, or many, took and gave."""

    taken: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer told. `error` is the beginning of the body of one that was an error; `at_limit`: more would have followed."""

    tokens: Tokens | None = None
    model: str = ""
    trouble: ModelTrouble = ModelTrouble.NONE
    error: bytes = b""
    at_limit: bool = False


class Meter:
    """Reads one answer, however it is cut."""

    def __init__(self, content_type: bytes, status: int = 200) -> None:
        kind = content_type.split(b";")[0].strip().lower()
        self._status = status
        self._is_stream = kind == b"text/event-stream"
        self._is_read = self._is_stream or kind == b"application/json"
        self._is_to_guess = not self._is_read and kind in _VAGUE
        self._kept = bytearray()
        self._error = bytearray()
        self._tokens: Tokens | None = None
        self._model = ""
        self._trouble = ModelTrouble.NONE
        self._has_begun = self._has_ended = self._is_at_limit = False

    @property
    def model(self) -> str:
        """Returns the model's name, as far as the answer has told it."""
        return self._model

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        if self._status >= 400:
            self._error += data[: MAX_ERROR_BYTES - len(self._error)]
        if self._is_to_guess:
            data = self._guess(data)
        if not self._is_read:
            return
        self._kept += data
        if self._is_stream and (b"\n" in data or b"\r" in data):
            *lines, rest = bytes(self._kept).replace(b"\r", b"\n").split(b"\n")
            self._kept = bytearray(rest)
            for line in lines:
                self._read_line(line)
        if len(self._kept) > MAX_KEPT_BYTES:
            self._is_read = False
            self._kept.clear()

    def _guess(self, data: bytes) -> bytes:
        """Decides by the first bytes what an answer is whose type does not say it; returns those that are to be read."""
        data = bytes(self._kept) + data
        beginning = data.lstrip()
        if len(beginning) < _GUESSED_BYTES and len(data) < MAX_ERROR_BYTES:
            self._kept = bytearray(data)
            return b""
        self._kept.clear()
        self._is_to_guess = False
        self._is_stream = beginning.startswith(_STREAM_BEGINS)
        self._is_read = self._is_stream or beginning.startswith(b"{")
        return data

    def finish(self) -> Reading:
        """Returns what the whole answer told."""
        if self._is_read and self._is_stream:
            self._read_line(bytes(self._kept))
        elif self._is_read:
            self._read(bytes(self._kept))
        self._kept.clear()
        trouble = trouble_of(self._status, bytes(self._error)) or self._trouble
        if self._is_read and self._has_begun and not self._has_ended:
            trouble = trouble or ModelTrouble.CUT
        return Reading(self._tokens, self._model, trouble, bytes(self._error), self._is_at_limit)

    def _read_line(self, line: bytes) -> None:
        line = line.removeprefix(BOM_UTF8)
        if not line.startswith(b"data:"):
            return
        self._has_begun = self._has_begun or bool(_BEGINNING.search(line))
        self._has_ended = self._has_ended or bool(_END.search(line))
        if _NOTABLE.search(line) or (not self._model and b'"model' in line):
            self._read(line[5:])

    def _read(self, text: bytes) -> None:
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            return
        if tokens := tokens_in(answer):
            known = self._tokens or Tokens()
            self._tokens = Tokens(max(known.taken, tokens.taken), max(known.given, tokens.given))
        if isinstance(answer, Mapping):
            self._model = self._model or model_in(answer)
            self._trouble = _trouble_in(answer) or self._trouble
            self._is_at_limit = self._is_at_limit or not _AT_LIMIT.isdisjoint(_ends_in(answer))


def tokens_in(answer: Any) -> Tokens | None:
    """Returns the tokens that an answer, or one of its events, states."""
    if not isinstance(answer, Mapping):
        return None
    for holder in (answer, answer.get("response"), answer.get("message")):
        if isinstance(holder, Mapping):
            for name, read in (("usage", _usual), ("usageMetadata", _gemini)):
                if isinstance(usage := holder.get(name), Mapping):
                    return read(usage)
    return None


def model_in(answer: Mapping[str, Any]) -> str:
    """Returns the model's name in an answer, or in one of its events."""
    for holder in (answer, answer.get("response"), answer.get("message")):
        if isinstance(holder, Mapping):
            name = holder.get("model") or holder.get("modelVersion")
            if isinstance(name, str):
                return plain(name[:MAX_NAME_CHARACTERS])
    return ""


def prompt_was_cut(body: bytes, taken: int) -> bool:
    """Returns whether a server evidently read only a part of a chat: some cut what does not fit without a word."""
    if taken <= 0 or len(body) / CHARACTERS_PER_TOKEN * CUT_SHARE <= taken:
        return False
    try:
        messages = json.loads(body).get("messages")
    except (ValueError, RecursionError, AttributeError):
        return False
    words = sum(_characters(message.get("content")) for message in messages or () if isinstance(message, Mapping))
    expected = words / CHARACTERS_PER_TOKEN
    return expected > CUT_FROM_TOKENS and taken < expected * CUT_SHARE


def _characters(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    parts = content if isinstance(content, list) else []
    return sum(len(text) for part in parts if isinstance(part, Mapping) and isinstance(text := part.get("text"), str))


def _trouble_in(answer: Mapping[str, Any]) -> ModelTrouble:
    for holder in (answer, answer.get("response")):
        if isinstance(holder, Mapping) and (error := holder.get("error")):
            return trouble_in_stream(json.dumps(error).encode())
    if any(word in _REFUSING for word in _ends_in(answer)):
        return ModelTrouble.REFUSED
    return ModelTrouble.NONE


def _ends_in(answer: Mapping[str, Any]) -> list[Any]:
    """Returns the words with which an answer says why it ended, in the places where the APIs have them."""
    found = [answer.get("stop_reason"), _table(answer.get("delta")).get("stop_reason")]
    found.append(_table(_table(answer.get("response")).get("incomplete_details")).get("reason"))
    found += ["refusal"] if _table(answer.get("promptFeedback")).get("blockReason") else []
    for choice in (*_tables(answer.get("choices")), *_tables(answer.get("candidates"))):
        found += [choice.get("finish_reason"), choice.get("finishReason")]
        said = _table(choice.get("delta")) or _table(choice.get("message"))
        found += ["refusal"] if said.get("refusal") else []
    return [word for word in found if isinstance(word, str)]


def _usual(usage: Mapping[str, Any]) -> Tokens:
    # Anthropic states cached tokens apart; OpenAI includes them.
    cached = _count(usage, "cache_creation_input_tokens") + _count(usage, "cache_read_input_tokens")
    taken = _count(usage, "prompt_tokens") or _count(usage, "input_tokens") + cached
    return Tokens(taken, _count(usage, "completion_tokens") or _count(usage, "output_tokens"))


def _gemini(usage: Mapping[str, Any]) -> Tokens:
    given = _count(usage, "candidatesTokenCount") + _count(usage, "thoughtsTokenCount")
    return Tokens(_count(usage, "promptTokenCount"), given)


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT else 0


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
