"""Translates the events of `pi --mode rpc` into the jsonl dialect: deltas, tools, usage, failures, and when pi has settled."""

import json
from collections.abc import Mapping
from typing import Any

from ..bridge.telling import Telling, count_of, table, tables, text_of

BROKEN = frozenset({"error", "aborted"})
UNKNOWN_TOOL = "Tool {} not found"  # what pi tells the model of a tool that it was not given


class Events:
    """Reads the events of one session."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._tokens = [0, 0]
        self._requests = 0
        self.is_over = False
        self.is_good = False  # the model's last message is whole

    def begin_turn(self) -> None:
        """Begins a turn."""
        self.is_over = self.is_good = False

    def take(self, event: Mapping[str, Any]) -> None:
        """Takes an event; those that say nothing to people are passed over."""
        match event.get("type"):
            case "message_update":
                self._take_delta(table(event.get("assistantMessageEvent")))
            case "message_end":
                self._end_message(table(event.get("message")))
            case "tool_execution_start":
                self._telling.call(str(event.get("toolCallId")), str(event.get("toolName")), table(event.get("args")))
            case "tool_execution_end":
                self._end_tool(event)
            case "auto_retry_start":
                self._telling.voice.log(f"pi asks its model again: {event.get('errorMessage')}")
            case "compaction_start" | "auto_compaction_start":
                self._telling.voice.log("pi shortens the conversation to go on")
            case "extension_error":
                self._telling.voice.log(f"an extension of pi failed: {event.get('error')}")
            case "agent_settled":
                self.is_over = True

    def _take_delta(self, delta: Mapping[str, Any]) -> None:
        if delta.get("type") == "text_delta":
            self._telling.say(text_of(delta, "delta"))
        elif delta.get("type") == "thinking_delta":
            self._telling.think(text_of(delta, "delta"))
        elif delta.get("type") == "text_start":
            self._telling.pause()

    def _end_message(self, message: Mapping[str, Any]) -> None:
        if message.get("role") != "assistant":
            return
        usage = table(message.get("usage"))
        cached = count_of(usage, "cacheRead") + count_of(usage, "cacheWrite")
        self._requests += 1
        self._tokens[0] += count_of(usage, "input") + cached
        self._tokens[1] += count_of(usage, "output")
        if any(self._tokens):
            self._telling.voice.usage(self._tokens[0], self._tokens[1], self._requests)
        self.is_good = message.get("stopReason") not in BROKEN
        if not self.is_good:
            self._telling.voice.log(f"the model's answer ended as {message.get('stopReason')}: {_reason(message)}")

    def _end_tool(self, event: Mapping[str, Any]) -> None:
        name, failed = str(event.get("toolName")), event.get("isError") is True
        output = _output(table(event.get("result")))
        self._telling.result(str(event.get("toolCallId")), output, failed=failed)
        if failed and output == UNKNOWN_TOOL.format(name):
            self._telling.voice.denial(f"refused: {name}, which is not among its tools")


def _reason(message: Mapping[str, Any]) -> str:
    return text_of(message, "errorMessage")[:500] or "no reason was told"


def _output(result: Mapping[str, Any]) -> str:
    texts = [text_of(part) for part in tables(result.get("content"))]
    text = "\n".join(part for part in texts if part)
    return text or (json.dumps(result) if result else "")
