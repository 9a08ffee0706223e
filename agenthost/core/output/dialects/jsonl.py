"""Our own dialect: one JSON object per line on stdout, its kind in `type`. Lines in, sayings out.

    answer{text} reasoning{text} log{text} tool_call{id,name,arguments} tool_result{id,failed,text}
    usage{input_tokens,output_tokens,turns} denial{text} final{result}

A line that is anything else gives a `Fault`: the caller keeps it as a log. Nothing that an agent writes is trusted:
numbers are bounded, and nothing here keeps more than one line. Texts are cut at the limits of the protos after their secrets
are masked, by `agent_output`.
"""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NoReturn

from agenthost.core.output.report import (
    Channel,
    Notice,
    NoticeKind,
    Output,
    Report,
    Result,
    ToolCall,
    ToolResult,
    Usage,
)
from agenthost.core.output.utf8 import clean, fitting

MAX_RESULT_BYTES = 1024 * 1024
MAX_TOOL_BYTES = 64 * 1024
MAX_NAME_BYTES = 256
MAX_NOTICE_BYTES = 4096
MAX_COUNT = 2**62


class Fault(StrEnum):
    """Why a line is not what the dialect knows."""

    NO_OBJECT = "a line is not a JSON object"
    NO_JSON = "a line is not JSON"
    NO_TYPE = "a line has no type that is known"
    WRONG_FIELD = "a line lacks what its type needs"
    TOO_LONG = "a line is longer than 1 MiB"


class _WrongFieldError(Exception):
    """A field of a line is not what its type needs."""


def parse_line(line: bytes) -> Report | Result | Fault:
    """Reads one line."""
    # Most of what an agent may write that speaks plain text; a value, because millions of exceptions take their time.
    if line[:1] != b"{" and not line.lstrip().startswith(b"{"):
        return Fault.NO_OBJECT
    try:
        message = json.loads(line.decode(errors="replace"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return Fault.NO_JSON
    kind = message.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return Fault.NO_TYPE
    try:
        return reader(message)
    except _WrongFieldError:
        return Fault.WRONG_FIELD


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _text(message: Mapping[str, Any], key: str = "text") -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise _WrongFieldError
    return clean(value)


def _name(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key, "")
    return fitting(clean(str(value)), MAX_NAME_BYTES) if isinstance(value, str | int) else ""


def _count(message: Mapping[str, Any], key: str) -> int | None:
    value = message.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_COUNT:
        raise _WrongFieldError
    return value


def _compact(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _tool_call(message: Mapping[str, Any]) -> Report:
    return ToolCall(_name(message, "id"), _name(message, "name"), _compact(message.get("arguments", {})))


def _tool_result(message: Mapping[str, Any]) -> Report:
    return ToolResult(_name(message, "id"), message.get("failed") is True, _text(message))


def _usage(message: Mapping[str, Any]) -> Report:
    return Usage(_count(message, "input_tokens"), _count(message, "output_tokens"), _count(message, "turns"))


def _final(message: Mapping[str, Any]) -> Result:
    result = _compact(message.get("result"))
    if not isinstance(message.get("result"), dict):
        raise _WrongFieldError
    if len(result.encode()) > MAX_RESULT_BYTES:
        raise _WrongFieldError
    return Result(result)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Report | Result]] = {
    "answer": lambda message: Output(Channel.ANSWER, _text(message)),
    "reasoning": lambda message: Output(Channel.REASONING, _text(message)),
    "log": lambda message: Output(Channel.LOG, _text(message)),
    "denial": lambda message: Notice(NoticeKind.DENIAL, _text(message)),
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "usage": _usage,
    "final": _final,
}
