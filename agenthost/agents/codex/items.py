"""Translates the notifications of `codex app-server` into the jsonl dialect: items, usage, errors, a turn's end."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..bridge.telling import Telling, count_of, table, tables, text_of

WARNINGS = frozenset({"warning", "configWarning", "deprecationNotice", "guardianWarning"})
FAILED = frozenset({"failed", "declined"})
TALK = frozenset({"userMessage", "agentMessage", "reasoning", "contextCompaction"})  # the other items are tools


class Items:
    """Reads the reports of one thread."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._said: dict[str, str] = {}  # the words of each message and thought so far
        self._turns = 0
        self.turn = ""  # the id of the turn that runs
        self.end = ""  # how it ended; nothing while it runs
        self.failure = ""
        self._readers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "item/agentMessage/delta": lambda told: self._say(told.get("itemId"), text_of(told, "delta")),
            "item/reasoning/summaryTextDelta": lambda told: self._think(told.get("itemId"), text_of(told, "delta")),
            "item/reasoning/textDelta": lambda told: self._think(told.get("itemId"), text_of(told, "delta")),
            "item/reasoning/summaryPartAdded": self._break_thought,
            "item/started": lambda told: self._begin_item(table(told.get("item"))),
            "item/completed": lambda told: self._end_item(table(told.get("item"))),
            "thread/tokenUsage/updated": lambda told: self._count(table(table(told.get("tokenUsage")).get("total"))),
            "turn/started": self._take_turn,
            "turn/completed": self._end_turn,
            "error": lambda told: self._telling.voice.log(_sentence(table(told.get("error")))),
            **dict.fromkeys(WARNINGS, self._warn),
        }

    def begin_turn(self) -> None:
        """Begins a turn."""
        self.turn = self.end = self.failure = ""
        self._said.clear()

    def take(self, method: str, parameters: Mapping[str, Any]) -> None:
        """Takes a notification; those that say nothing to people are passed over."""
        if reader := self._readers.get(method):
            reader(parameters)

    def _say(self, item: Any, text: str) -> None:
        self._said[str(item)] = self._said.get(str(item), "") + text
        self._telling.say(text)

    def _think(self, item: Any, text: str) -> None:
        self._said[str(item)] = self._said.get(str(item), "") + text
        self._telling.think(text)

    def _break_thought(self, told: Mapping[str, Any]) -> None:
        if self._said.get(str(told.get("itemId"))):
            self._telling.think("\n\n")

    def _warn(self, told: Mapping[str, Any]) -> None:
        self._telling.voice.log(text_of(told, "summary") or text_of(told, "message") or "codex warns of something")

    def _begin_item(self, item: Mapping[str, Any]) -> None:
        kind = str(item.get("type"))
        if kind == "agentMessage":
            self._telling.pause()
        elif kind not in TALK:
            self._telling.call(str(item.get("id")), *_call(kind, item))

    def _end_item(self, item: Mapping[str, Any]) -> None:
        """Tells what a whole item has beyond its deltas: a message that did not stream, the output of a tool."""
        name, kind = str(item.get("id")), str(item.get("type"))
        told = self._said.get(name, "")
        if kind == "agentMessage":
            whole = text_of(item)
            self._say(name, whole[len(told) :] if whole.startswith(told) else "")
        elif kind == "reasoning" and not told:
            self._think(name, "\n\n".join(_texts(item.get("summary")) or _texts(item.get("content"))))
        elif kind == "contextCompaction":
            self._telling.voice.log("codex shortened the conversation to go on")
        elif kind not in TALK:
            self._begin_item(item)
            self._telling.result(name, _output(item), failed=str(item.get("status")) in FAILED)

    def _count(self, total: Mapping[str, Any]) -> None:
        taken, given = count_of(total, "inputTokens"), count_of(total, "outputTokens")
        if taken or given:
            self._telling.voice.usage(taken, given, self._turns + 1)

    def _take_turn(self, told: Mapping[str, Any]) -> None:
        self.turn = text_of(told.get("turn"), "id")

    def _end_turn(self, told: Mapping[str, Any]) -> None:
        turn = table(told.get("turn"))
        self._turns += 1
        self.end = text_of(turn, "status") or "unknown"
        self.failure = _sentence(table(turn.get("error")))


def _call(kind: str, item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Returns a tool's name and its arguments."""
    match kind:
        case "commandExecution":
            return "exec_command", {"command": item.get("command")}
        case "fileChange":
            return "apply_patch", {"paths": [change.get("path") for change in tables(item.get("changes"))]}
        case "imageView":
            return "view_image", {"path": item.get("path")}
        case "webSearch":
            return "web_search", {"query": item.get("query")}
    return text_of(item, "tool") or kind, table(item.get("arguments"))


def _output(item: Mapping[str, Any]) -> str:
    for name in ("aggregatedOutput", "result", "error", "contentItems", "changes"):
        if value := item.get(name):
            return value if isinstance(value, str) else json.dumps(value)
    return str(item.get("status", ""))


def _texts(parts: Any) -> list[str]:
    """Returns the texts of a thought: strings, or objects with a text."""
    listed = parts if isinstance(parts, list) else []
    return [part if isinstance(part, str) else text_of(part) for part in listed]


def _sentence(error: Mapping[str, Any]) -> str:
    more = text_of(error, "additionalDetails")
    return f"{text_of(error, 'message') or 'no reason was told'}{f' ({more})' if more else ''}"
