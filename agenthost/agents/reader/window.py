"""Keeps a conversation within the model's context. Pure: messages in, messages out.

Tokens are estimated from characters, and the estimate follows what the server counts. The oldest tool results go first, each
replaced by a line that says which call would bring it back; the question and the newest results stay.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Message = dict[str, Any]

CHARACTERS_PER_TOKEN = 3.6
ANSWER_SHARE = 0.25  # of the window, for the reply
LEAST_WINDOW = 2_048
DEFAULT_WINDOW = 8_192
KEPT_RESULTS = 2
SHORT_CHARACTERS = 300
REST_LEFT_OUT = "\n[the rest was left out: it does not fit]"
# A server that counts less than this share of the estimate has cut the prompt.
CUT_SHARE = 0.5
CUT_FROM_TOKENS = 2_000


@dataclass(frozen=True, slots=True)
class Window:
    """The size of a model's context in tokens, and how many characters a token has in this conversation."""

    tokens: int = DEFAULT_WINDOW
    characters_per_token: float = CHARACTERS_PER_TOKEN

    @property
    def room(self) -> int:
        """The tokens that a request may have."""
        return int(max(self.tokens, LEAST_WINDOW) * (1 - ANSWER_SHARE))

    @property
    def answer(self) -> int:
        """Returns the tokens that a reply may have: a small model may repeat itself for ever."""
        return max(self.tokens, LEAST_WINDOW) - self.room

    def estimate(self, messages: Sequence[Message]) -> int:
        """Returns about how many tokens the messages have."""
        return int(characters(messages) / self.characters_per_token)

    def measured(self, messages: Sequence[Message], counted: int) -> "Window":
        """Returns the window with the ratio that the server's own count gives."""
        if counted < 200:
            return self
        return replace(self, characters_per_token=min(max(characters(messages) / counted, 1.5), 6.0))

    def was_cut(self, messages: Sequence[Message], counted: int) -> bool:
        """Returns whether the server evidently read only a part of the messages."""
        expected = characters(messages) / CHARACTERS_PER_TOKEN
        return counted > 0 and expected > CUT_FROM_TOKENS and counted < expected * CUT_SHARE

    def halved(self) -> "Window":
        """Returns a window of half the room, after the server refused what should have fitted."""
        return replace(self, tokens=max(self.tokens // 2, LEAST_WINDOW))


def characters(messages: Sequence[Message]) -> int:
    """Returns how many characters are sent."""
    return sum(len(json.dumps(message, ensure_ascii=False)) for message in messages)


def fitted(messages: Sequence[Message], window: Window) -> list[Message]:
    """Returns the messages within the window's room: old results shortened first, then all results, then the question."""
    kept = [dict(message) for message in messages]
    results = [number for number, message in enumerate(kept) if _is_result(message)]
    for number in results[:-KEPT_RESULTS] + results[-KEPT_RESULTS:]:
        if window.estimate(kept) <= window.room:
            return kept
        kept[number]["content"] = _shortened(str(kept[number]["content"]))
    over = characters(kept) - int(window.room * window.characters_per_token)
    if over > 0:
        longest = max(range(len(kept)), key=lambda number: len(str(kept[number].get("content") or "")))
        text = str(kept[longest].get("content") or "")
        keep = max(len(text) - over - SHORT_CHARACTERS, SHORT_CHARACTERS)
        kept[longest]["content"] = text[:keep] + REST_LEFT_OUT
    return kept


def is_cut(message: Message) -> bool:
    """Returns whether the end of this message did not fit."""
    return str(message.get("content") or "").endswith(REST_LEFT_OUT)


def _is_result(message: Mapping[str, Any]) -> bool:
    return message["role"] == "tool" or bool(message.get("is_result"))


def _shortened(text: str) -> str:
    if len(text) <= SHORT_CHARACTERS:
        return text
    left = len(text) - SHORT_CHARACTERS
    return f"{text[:SHORT_CHARACTERS]}\n[{left} characters left out; call the tool again if they are needed]"
