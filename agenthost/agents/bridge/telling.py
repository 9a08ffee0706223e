"""Tells in jsonl what an agent of any protocol says and does: paragraphs between tools, each call and its result once."""

from collections.abc import Mapping
from typing import Any

from ..voice import Voice


class Telling:
    """Keeps what was told of one agent so far."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self._open: set[str] = set()  # calls that were told, and whose results were not
        self._needs_break = False
        self.has_answer = False  # in the turn that began last

    def begin_turn(self) -> None:
        """Begins a turn: its answer is one of its own."""
        self.has_answer = self._needs_break = False

    def say(self, text: str) -> None:
        """Adds to the answer. What follows a tool, or another message, is a paragraph of its own."""
        if not text:
            return
        if self._needs_break and self.has_answer:
            text = f"\n\n{text.lstrip()}"
        self._needs_break, self.has_answer = False, True
        self.voice.answer(text)

    def think(self, text: str) -> None:
        """Adds to what the model thinks aloud."""
        if text:
            self.voice.reasoning(text)

    def pause(self) -> None:
        """Notes that the words so far are a whole."""
        self._needs_break = True

    def call(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Tells a call, once."""
        if call_id not in self._open:
            self._open.add(call_id)
            self.voice.tool_call(call_id, name, arguments)

    def result(self, call_id: str, text: str, *, failed: bool) -> None:
        """Tells the result of a call that was told."""
        if call_id in self._open:
            self._open.discard(call_id)
            self._needs_break = True
            self.voice.tool_result(call_id, text, failed=failed)


def tables(value: Any) -> list[dict[str, Any]]:
    """Returns the objects of a list; none of them where an agent sent another value."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def table(value: Any) -> dict[str, Any]:
    """Returns an object; an empty one where an agent sent another value."""
    return value if isinstance(value, dict) else {}


def text_of(value: Any, key: str = "text") -> str:
    """Returns the text of an object; an empty one where it has none."""
    text = value.get(key) if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def count_of(counts: Mapping[str, Any], *names: str) -> int:
    """Returns the first of these counts that an agent told, 0 where it told none."""
    told = (counts.get(name) for name in names)
    return next((value for value in told if isinstance(value, int) and value > 0), 0)
