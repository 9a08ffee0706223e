"""Activities: tool calls, their results, usage and notices of an agent, beside the text that it writes.

Activities reach the core as values. They are stored in a channel of their own, one JSON object a line, and read back from there.
The lines are those of every earlier version, byte for byte: offsets count them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# A host cuts longer arguments, and what was cut is no JSON any more.
MAX_ARGUMENTS_BYTES = 64 * 1024
MAX_CHARACTER_BYTES = 4
MAX_COUNT = 2**63


class NoticeKind(StrEnum):
    """Why a person should look. The values are stored."""

    UNSPECIFIED = ""  # of a host that knows more kinds
    DENIAL = "denial"
    MALFORMED_OUTPUT = "malformed_output"
    ANSWER_TRUNCATED = "answer_truncated"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent used a tool. `arguments` is JSON, unless its host cut it."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool answered."""

    id: str = ""
    failed: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals so far; None where they are not known."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know, in one sentence."""

    kind: NoticeKind = NoticeKind.UNSPECIFIED
    text: str = ""


Activity = ToolCall | ToolResult | Usage | Notice

_NOTICES = {kind.value: kind for kind in NoticeKind}


def write_line(activity: Activity) -> str:
    """Writes an activity as a line of its channel. Empty fields are left out."""
    match activity:
        case ToolCall(id=call, name=name, arguments=arguments):
            kind, fields = "tool_call", _without_empty({"id": call, "name": name})
            if arguments:
                fields["arguments"] = _value_of(arguments)
        case ToolResult(id=call, failed=failed, text=text):
            kind, fields = "tool_result", _without_empty({"id": call, "failed": failed, "text": text})
        case Usage(input_tokens=read, output_tokens=written, turns=turns):
            counts = {"input_tokens": read, "output_tokens": written, "turns": turns}
            kind, fields = "usage", {name: count for name, count in counts.items() if count is not None}
        case Notice(kind=why, text=text):
            kind, fields = "notice", _without_empty({"notice_kind": why.value, "text": text})
    return json.dumps({"kind": kind, **fields}, ensure_ascii=False, separators=(",", ":")) + "\n"


def read_line(line: str) -> Activity | None:
    """Reads a line, with or without its end; None for anything else, the end of a longer line included."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    reader = _READERS.get(_text(fields, "kind")) if isinstance(fields, dict) else None
    return None if reader is None else reader(fields)


class LineReader:
    """Reads activities out of the text of their channel, however it is cut. `rest`: the beginning of its first line."""

    def __init__(self, rest: str = "") -> None:
        self._rest = rest

    def feed(self, text: str) -> list[Activity]:
        """Returns the activities whose lines end in this text."""
        *lines, self._rest = (self._rest + text).split("\n")
        return [activity for line in lines if (activity := read_line(line)) is not None]


def _value_of(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):  # cut at the host's limit
        return arguments


def _arguments_of(fields: Mapping[str, Any]) -> str:
    if "arguments" not in fields:
        return ""
    value = fields["arguments"]
    if isinstance(value, str) and len(value.encode()) > MAX_ARGUMENTS_BYTES - MAX_CHARACTER_BYTES:  # cut, so no JSON
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_empty(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _read_notice(fields: Mapping[str, Any]) -> Notice:
    kind = _NOTICES.get(_text(fields, "notice_kind"), NoticeKind.UNSPECIFIED)
    return Notice(kind, _text(fields, "text"))


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _count(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if type(value) is int and 0 <= value < MAX_COUNT else None


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Activity]] = {
    "tool_call": lambda fields: ToolCall(_text(fields, "id"), _text(fields, "name"), _arguments_of(fields)),
    "tool_result": lambda fields: ToolResult(_text(fields, "id"), fields.get("failed") is True, _text(fields, "text")),
    "usage": lambda fields: Usage(*(_count(fields, name) for name in ("input_tokens", "output_tokens", "turns"))),
    "notice": _read_notice,
}
