"""The dialect `jsonl`, our own: one JSON object per line on stdout, its kind in `type`.

    answer{text} reasoning{text} log{text} tool_call{id,name,arguments} tool_result{id,failed,text}
    usage{input_tokens,output_tokens,turns} denial{text} notice{text} cut{text} final{result} turn{failed}

Any other line is a fault, which names the field. Nothing that an agent writes is trusted: numbers are bounded, and at most one
line is kept.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agenthost.core.output.dialects.lines import Fault, FieldFault, LineReader, Trouble, load_object
from agenthost.core.output.report import (
    MAX_RESULT_BYTES,
    AnswerVoid,
    Channel,
    Notice,
    NoticeKind,
    Output,
    Parsed,
    Result,
    ToolCall,
    ToolResult,
    TurnEnd,
    Usage,
)
from agenthost.core.output.revisions import LATEST
from agenthost.core.output.utf8 import clean

MAX_COUNT = 2**62


class _WrongFieldError(Exception):
    """A field of a line is not what its type needs."""

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(field)
        self.field = field
        self.wanted = wanted


def read_jsonl(revision: int = LATEST.parser) -> LineReader:
    """Returns a reader of this dialect."""
    return LineReader(lambda line: parse_line(line, revision), passes_mark=revision > 1)


def parse_line(line: bytes, revision: int = LATEST.parser) -> Iterable[Parsed] | Trouble:
    """Reads one line."""
    message = load_object(line)
    if isinstance(message, Fault):
        return message
    kind = message.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None or (kind in _SECOND and revision < 2):
        return Fault.NO_TYPE
    try:
        return (reader(message),)
    except _WrongFieldError as error:
        return FieldFault(str(kind), error.field, error.wanted) if revision > 1 else Fault.WRONG_FIELD


def _text(message: Mapping[str, Any], key: str = "text") -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise _WrongFieldError(key, "a string")
    return clean(value)


def _name(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key, "")
    return clean(str(value)) if isinstance(value, str | int) else ""


def _count(message: Mapping[str, Any], key: str) -> int | None:
    value = message.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_COUNT:
        raise _WrongFieldError(key, f"a whole number from 0 to {MAX_COUNT - 1}")
    return value


def _compact(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _tool_call(message: Mapping[str, Any]) -> Parsed:
    return ToolCall(_name(message, "id"), _name(message, "name"), _compact(message.get("arguments", {})))


def _tool_result(message: Mapping[str, Any]) -> Parsed:
    return ToolResult(_name(message, "id"), message.get("failed") is True, _text(message))


def _usage(message: Mapping[str, Any]) -> Parsed:
    return Usage(_count(message, "input_tokens"), _count(message, "output_tokens"), _count(message, "turns"))


def _final(message: Mapping[str, Any]) -> Parsed:
    result = _compact(message.get("result"))
    if not isinstance(message.get("result"), dict):
        raise _WrongFieldError("result", "an object")
    if len(result.encode()) > MAX_RESULT_BYTES:
        raise _WrongFieldError("result", f"an object of at most {MAX_RESULT_BYTES} bytes")
    return Result(result)


def _turn(message: Mapping[str, Any]) -> Parsed:
    failed = message.get("failed", False)
    if not isinstance(failed, bool):
        raise _WrongFieldError("failed", "true or false")
    return TurnEnd(failed)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Parsed]] = {
    "answer": lambda message: Output(Channel.ANSWER, _text(message)),
    "reasoning": lambda message: Output(Channel.REASONING, _text(message)),
    "log": lambda message: Output(Channel.LOG, _text(message)),
    "denial": lambda message: Notice(NoticeKind.DENIAL, _text(message)),
    "notice": lambda message: Notice(NoticeKind.MALFORMED_OUTPUT, _text(message)),
    "cut": lambda message: Notice(NoticeKind.ANSWER_TRUNCATED, _text(message)),
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "usage": _usage,
    "final": _final,
    "turn": _turn,
    "void": lambda _: AnswerVoid(),
}
_SECOND = frozenset({"cut", "notice", "turn", "void"})  # unknown to the first revision of the parser
