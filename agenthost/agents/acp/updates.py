"""Translates what an agent of the protocol reports during a turn into the jsonl dialect."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ..voice import Voice

MAX_RESULT_CHARACTERS = 60_000
_MODE = re.compile(r"\[MODE_UPDATE\] \S+")  # gemini says so when its mode was set, in the turn that follows


class Updates:
    """The reports of one session. A tool call is told once its arguments are known, and its result once."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._calls: dict[str, dict[str, Any]] = {}
        self._told: set[str] = set()
        self._needs_break = False
        self.has_answer = False
        self.in_turn = False  # what is said outside of a turn is no answer

    def take(self, update: Mapping[str, Any]) -> None:
        """Takes one `session/update`; kinds that say nothing to people are passed over."""
        kind = str(update.get("sessionUpdate"))
        if kind == "agent_message_chunk":
            self._say(_text(update.get("content")))
        elif kind == "agent_thought_chunk" and (text := _text(update.get("content"))):
            self._voice.reasoning(text)
        elif kind in {"tool_call", "tool_call_update"}:
            self._take_call(update)

    def _say(self, text: str) -> None:
        if not text:
            return
        if not self.in_turn or _MODE.fullmatch(text):
            self._voice.log(text)
            return
        if self._needs_break and self.has_answer:
            text = f"\n\n{text.lstrip()}"
        self._needs_break, self.has_answer = False, True
        self._voice.answer(text)

    def _take_call(self, update: Mapping[str, Any]) -> None:
        call_id = str(update.get("toolCallId", ""))
        call = self._calls.setdefault(call_id, {})
        call |= {name: value for name, value in update.items() if value not in (None, [], {})}
        is_over = str(call.get("status")) in {"completed", "failed"}
        if call_id not in self._told and (is_over or call.get("rawInput") or call.get("status") == "in_progress"):
            self._told.add(call_id)
            self._voice.tool_call(call_id, _name(call), _arguments(call))
        if is_over and call_id in self._told:
            self._told.discard(call_id)
            self._needs_break = True
            self._voice.tool_result(call_id, _output(call), failed=call["status"] == "failed")
            self._calls[call_id] = {"status": "told"}


def tokens_in(result: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the input and output tokens that the end of a turn tells, 0 where it tells none."""
    meta = result.get("_meta")
    holders = [result.get("usage"), *([meta.get("usage"), meta.get("quota")] if isinstance(meta, dict) else [])]
    for holder in holders:
        inner = holder.get("token_count", holder) if isinstance(holder, dict) else {}
        counts = inner if isinstance(inner, dict) else {}
        found = [
            _count(counts, *names) for names in (("inputTokens", "input_tokens"), ("outputTokens", "output_tokens"))
        ]
        if any(found):
            return found[0], found[1]
    return 0, 0


def _count(counts: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := counts.get(name), int) and value > 0), 0)


def _tables(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(content: Any) -> str:
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else ""


def _name(call: Mapping[str, Any]) -> str:
    meta = call.get("_meta")
    names = [
        call.get("name"),
        *([meta.get("toolName")] if isinstance(meta, dict) else []),
        call.get("kind"),
        call.get("title"),
    ]
    return next((name for name in names if isinstance(name, str) and name), "tool")


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    given = call.get("rawInput")
    if isinstance(given, dict):
        return given
    places = [place.get("path") for place in _tables(call.get("locations"))]
    return {"title": call.get("title", ""), **({"path": places[0]} if places else {})}


def _output(call: Mapping[str, Any]) -> str:
    parts = [_text(part.get("content")) for part in _tables(call.get("content"))]
    text = "\n".join(part for part in parts if part)
    if not text and (raw := call.get("rawOutput")):
        text = raw if isinstance(raw, str) else json.dumps(raw)
    return text[:MAX_RESULT_CHARACTERS]
