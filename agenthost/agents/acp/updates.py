"""Translates what an agent of the protocol reports during a turn into the jsonl dialect."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ..bridge.telling import Telling, count_of, table, tables, text_of

_MODE = re.compile(r"\[MODE_UPDATE\] \S+")  # gemini says so when its mode was set, in the turn that follows


class Updates:
    """The reports of one session. A tool call is told once its arguments are known, and its result once."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._calls: dict[str, dict[str, Any]] = {}
        self.in_turn = False  # what is said outside of a turn is no answer

    def take(self, update: Mapping[str, Any]) -> None:
        """Takes one `session/update`; kinds that say nothing to people are passed over."""
        kind = str(update.get("sessionUpdate"))
        if kind == "agent_message_chunk":
            self._say(text_of(update.get("content")))
        elif kind == "agent_thought_chunk":
            self._telling.think(text_of(update.get("content")))
        elif kind in {"tool_call", "tool_call_update"}:
            self._take_call(update)

    def _say(self, text: str) -> None:
        if text and (not self.in_turn or _MODE.fullmatch(text)):
            self._telling.voice.log(text)
        else:
            self._telling.say(text)

    def _take_call(self, update: Mapping[str, Any]) -> None:
        call_id = str(update.get("toolCallId", ""))
        call = self._calls.setdefault(call_id, {})
        call |= {name: value for name, value in update.items() if value not in (None, [], {})}
        is_over = str(call.get("status")) in {"completed", "failed"}
        if is_over or call.get("rawInput") or call.get("status") == "in_progress":
            self._telling.call(call_id, _name(call), _arguments(call))
        if is_over:
            self._telling.result(call_id, _output(call), failed=call["status"] == "failed")
            self._calls[call_id] = {"status": "told"}


def tokens_in(result: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the input and output tokens that the end of a turn tells, 0 where it tells none."""
    meta = table(result.get("_meta"))
    for holder in (result.get("usage"), meta.get("usage"), meta.get("quota")):
        counts = table(table(holder).get("token_count", holder))
        found = count_of(counts, "inputTokens", "input_tokens"), count_of(counts, "outputTokens", "output_tokens")
        if any(found):
            return found
    return 0, 0


def _name(call: Mapping[str, Any]) -> str:
    names = (call.get("name"), table(call.get("_meta")).get("toolName"), call.get("kind"), call.get("title"))
    return next((name for name in names if isinstance(name, str) and name), "tool")


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    given = call.get("rawInput")
    if isinstance(given, dict):
        return given
    places = [place.get("path") for place in tables(call.get("locations"))]
    return {"title": call.get("title", ""), **({"path": places[0]} if places else {})}


def _output(call: Mapping[str, Any]) -> str:
    parts = [text_of(part.get("content")) for part in tables(call.get("content"))]
    text = "\n".join(part for part in parts if part)
    if not text and (raw := call.get("rawOutput")):
        text = raw if isinstance(raw, str) else json.dumps(raw)
    return text
