"""Counts what an agent uses of its model, from the passing answers: tokens where they are stated, statuses, rate limits.

Best effort, and bounded: an answer that is neither JSON nor an event stream, or is too long, passes uncounted. It reads the shapes
of OpenAI (both), Anthropic and Gemini; within one answer the numbers are totals so far, so the largest counts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agenthost.core.output.report import Usage

MAX_KEPT_BYTES = 4 * 1024 * 1024  # of a JSON answer, or of one event
MAX_COUNT = 2**53
MAX_STATUSES = 64
RATE_LIMITS = frozenset({429, 529})  # too many requests; overloaded, as Anthropic says it
UNAUTHORIZED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that one answer, or many, took and gave."""

    taken: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class ModelUse:
    """An attempt's use of its model so far. `statuses` counts the endpoint's answers; `refused` requests never reached it."""

    requests: int = 0
    refused: int = 0
    broken: int = 0  # no answer, or not all of it
    statuses: Mapping[int, int] = field(default_factory=dict)
    tokens: Tokens = Tokens()
    metered: int = 0  # answers that stated their tokens
    rate_limited: int = 0
    retry_after_seconds: int | None = None  # what the last rate limit asked for
    last_status: int = 0  # of the endpoint's newest answer: an agent that went on after a refusal has a later one
    unreachable: str = ""  # why the newest request found no endpoint

    def with_refusal(self) -> "ModelUse":
        """Counts a request that the gateway refused."""
        return replace(self, refused=self.refused + 1)

    def with_unreachable(self, why: str) -> "ModelUse":
        """Returns the use after a request that found no endpoint."""
        return replace(self.with_failure(), unreachable=why)

    def with_failure(self) -> "ModelUse":
        """Counts a request that got no whole answer."""
        return replace(self, broken=self.broken + 1)

    def with_request(self) -> "ModelUse":
        """Counts a request that is sent to the endpoint."""
        return replace(self, requests=self.requests + 1)

    def with_status(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> "ModelUse":
        """Counts an answer's status."""
        count = self.statuses.get(status, 0) + 1
        known = {**self.statuses, status: count} if status in self.statuses or len(self.statuses) < MAX_STATUSES else {}
        use = replace(self, statuses=known or self.statuses, last_status=status, unreachable="")
        if status not in RATE_LIMITS:
            return use
        wait = dict(headers).get(b"retry-after", b"").strip()
        seconds = int(wait) if wait.isdigit() and len(wait) < 8 else None
        return replace(use, rate_limited=use.rate_limited + 1, retry_after_seconds=seconds)

    def with_tokens(self, tokens: Tokens | None) -> "ModelUse":
        """Counts the tokens of a complete answer."""
        if tokens is None:
            return self
        total = Tokens(self.tokens.taken + tokens.taken, self.tokens.given + tokens.given)
        return replace(self, tokens=total, metered=self.metered + 1)


def metered(reported: Usage, use: ModelUse | None) -> Usage:
    """Returns an attempt's usage: the gateway's count outweighs what the agent says of itself."""
    if use is None or not use.metered:
        return reported
    return replace(reported, input_tokens=use.tokens.taken, output_tokens=use.tokens.given)


def describe(use: ModelUse) -> dict[str, Any]:
    """Returns the use as JSON."""
    plain = {name: getattr(use, name) for name in ModelUse.__slots__ if name not in {"statuses", "tokens"}}
    statuses = {str(status): count for status, count in sorted(use.statuses.items())}
    return plain | {"statuses": statuses, "taken": use.tokens.taken, "given": use.tokens.given}


def restore(described: Mapping[str, Any]) -> ModelUse:
    """Reads the use from JSON; fails with KeyError, TypeError or ValueError when `describe` did not write it."""
    described = {**dict[str, Any](last_status=0, unreachable=""), **described}  # an earlier version did not write it
    plain = {name: described[name] for name in ModelUse.__slots__ if name not in {"statuses", "tokens"}}
    statuses = {int(status): int(count) for status, count in described["statuses"].items()}
    return ModelUse(**plain, statuses=statuses, tokens=Tokens(int(described["taken"]), int(described["given"])))


class Meter:
    """Counts one answer as it passes, however it is cut."""

    def __init__(self, content_type: bytes) -> None:
        kind = content_type.split(b";")[0].strip().lower()
        self._is_stream = kind == b"text/event-stream"
        self._is_read = self._is_stream or kind == b"application/json"
        self._kept = bytearray()
        self._found: Tokens | None = None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
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

    def finish(self) -> Tokens | None:
        """Returns the tokens of the whole answer; None if it states none."""
        if self._is_read and self._is_stream:
            self._read_line(bytes(self._kept))
        elif self._is_read:
            self._read(bytes(self._kept))
        self._kept.clear()
        return self._found

    def _read_line(self, line: bytes) -> None:
        # Most events of a stream are words: looking for the word first spares reading them.
        if line.startswith(b"data:") and b"sage" in line:
            self._read(line[5:])

    def _read(self, text: bytes) -> None:
        try:
            tokens = tokens_in(json.loads(text))
        except (ValueError, RecursionError):
            return
        if tokens:
            known = self._found or Tokens()
            self._found = Tokens(max(known.taken, tokens.taken), max(known.given, tokens.given))


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
