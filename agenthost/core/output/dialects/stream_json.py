"""The dialect `stream-json`: what `claude -p` and `qwen` print with `--output-format stream-json`, one JSON object a line.

Tokens come from `stream_event`, tool calls from `assistant`, tool results from `user`; `result` ends a turn, with usage and
denials. Where a message was not streamed, `assistant` tells its text too.

Output cannot be taken back. When a stream breaks and the agent sends the message again, text that was told before is passed over;
where the new text differs, it is told whole after an empty line, and what was told before is void. An agent's own error texts are
log, never an answer.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agenthost.core.output.dialects.lines import Fault, FieldFault, LineReader, Trouble, load_object
from agenthost.core.output.report import (
    AnswerVoid,
    Channel,
    Notice,
    NoticeKind,
    Output,
    Parsed,
    ToolCall,
    ToolResult,
    TurnEnd,
    Usage,
)
from agenthost.core.output.revisions import LATEST
from agenthost.core.output.utf8 import clean

MAX_COUNT = 2**62
MAX_KEPT = 1024 * 1024  # characters of one message that are kept, to know them again
BREAK = "\n\n"
API_ERROR = "[API Error: "  # how qwen tells an error, as if the model had said it


def read_stream_json(revision: int = LATEST.parser) -> LineReader:
    """Returns a reader of this dialect."""
    return LineReader(_Conversation(revision).parse_line, passes_mark=revision > 1)


class _Message:
    """Holds what was told of one channel of a message, which the agent may send more than once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._told: list[str] = []
        self._size = 0
        self._earlier = ""  # what an earlier sending told, for as long as this one repeats it
        self._repeated = 0
        self._start = ""
        self._is_void = False  # what was told of this message so far
        self.is_streamed = False
        self.is_silent = True

    def take(self, text: str) -> Iterator[Parsed]:
        """Yields what is new in the next text of this sending."""
        known = self._earlier[self._repeated : self._repeated + len(text)]
        if text.startswith(known):
            self._repeated += len(known)
            new = text[len(known) :]
        else:
            new = self._earlier[: self._repeated] + text
            self._void()
        if new and self._is_void and self._channel is Channel.ANSWER:
            yield Output(self._channel, self._start)
            yield AnswerVoid()
            self._start = ""
        if new:
            yield Output(self._channel, self._start + new)
            self._keep(new)

    def send_again(self) -> None:
        """Expects the same message from its beginning."""
        earlier = "".join(self._told)
        self._told = [earlier]  # joined once: an agent may say so a million times
        self._repeated, self.is_streamed = 0, False
        if self._size > len(earlier):
            self._void()
        else:
            self._earlier = earlier

    def end(self) -> None:
        """Expects another message."""
        self._forget(self._start if self.is_silent else BREAK)
        self.is_streamed = False

    def _void(self) -> None:
        self._forget(BREAK)
        self._is_void = True

    def _keep(self, new: str) -> None:
        self._start, self.is_silent, self._is_void = "", False, False
        self._size += len(new)
        if self._size > MAX_KEPT:
            self._told.clear()
        else:
            self._told.append(new)

    def _forget(self, start: str) -> None:
        self._told, self._size, self._earlier, self._repeated, self._start = [], 0, "", 0, start


class _Conversation:
    """Reads the lines of one process, in order."""

    def __init__(self, revision: int) -> None:
        self._knows_turns = revision > 1
        self._turns = 0
        self._begin_turn()
        self._readers: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Parsed]]] = {
            "system": self._read_system,
            "stream_event": self._read_event,
            "assistant": self._read_assistant,
            "user": self._read_user,
            "result": self._read_result,
        }

    def parse_line(self, line: bytes) -> Iterable[Parsed] | Trouble:
        """Reads one line."""
        message = load_object(line)
        if isinstance(message, Fault):
            return message
        kind = message.get("type")
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        if reader is None:
            return Fault.NO_TYPE
        if self._knows_turns and (fault := _wrong_field(str(kind), message)):
            return fault
        return tuple(reader(message))

    def _read_system(self, message: Mapping[str, Any]) -> Iterator[Parsed]:
        if _text(message.get("subtype")) not in {"api_retry", "retry"}:
            return
        self._send_again()
        status = message.get("error_status") or message.get("error") or "no reason told"
        yield Output(Channel.LOG, clean(f"the agent sends its request again ({status})\n"))

    def _read_event(self, message: Mapping[str, Any]) -> Iterator[Parsed]:
        event = _table(message.get("event"))
        if message.get("parent_tool_use_id"):
            return
        if event.get("type") == "message_stop" and message.get("abandoned_blocks"):
            self._send_again()
        elif event.get("type") == "content_block_delta":
            delta = _table(event.get("delta"))
            yield from self._stream(self._answer, _text(delta.get("text")))
            yield from self._stream(self._reasoning, _text(delta.get("thinking")))

    def _stream(self, message: _Message, text: str) -> Iterator[Parsed]:
        if not text:
            return
        message.is_streamed = True
        yield from _log(text) if text.startswith(API_ERROR) else message.take(text)

    def _read_assistant(self, message: Mapping[str, Any]) -> Iterator[Parsed]:
        is_own = not message.get("parent_tool_use_id")
        for block in _blocks(_table(message.get("message")).get("content")):
            text = _text(block.get("text")) or _text(block.get("thinking"))
            if block.get("type") == "tool_use":
                yield ToolCall(_text(block.get("id")), _text(block.get("name")), _compact(block.get("input", {})))
            elif message.get("is_api_error_message") or text.startswith(API_ERROR):
                yield from () if self._answer.is_streamed else _log(text)
            elif is_own:
                yield from self._tell_whole(self._answer if block.get("type") == "text" else self._reasoning, text)
            elif text:
                yield Output(Channel.REASONING, f"{text}\n")  # a sub-agent's words are no answer
        if is_own:
            self._answer.end()
            self._reasoning.end()

    def _tell_whole(self, message: _Message, text: str) -> Iterator[Parsed]:
        return iter(()) if message.is_streamed else message.take(text)

    def _read_user(self, message: Mapping[str, Any]) -> Iterator[Parsed]:
        for block in _blocks(_table(message.get("message")).get("content")):
            if block.get("type") == "tool_result":
                text = "\n".join(_text(part.get("text")) for part in _blocks(block.get("content")))
                yield ToolResult(_text(block.get("tool_use_id")), block.get("is_error") is True, text)

    def _read_result(self, message: Mapping[str, Any]) -> Iterator[Parsed]:
        for denial in _blocks(message.get("permission_denials")):
            yield Notice(
                NoticeKind.DENIAL, f"refused: {_text(denial.get('tool_name'))} {_compact(denial.get('tool_input'))}"
            )
        if message.get("is_error"):
            yield from _log(
                f"the agent ended with {_text(message.get('terminal_reason')) or _text(message.get('subtype'))}"
            )
        elif self._answer.is_silent:
            yield from self._answer.take(_text(message.get("result")))
        if not self._knows_turns:
            yield _usage(_table(message.get("usage")), message.get("num_turns"))
            return
        self._turns += _count(message.get("num_turns")) or 0
        yield _usage(_totals(message), self._turns)
        self._begin_turn()
        yield TurnEnd(failed=bool(message.get("is_error")))

    def _begin_turn(self) -> None:
        self._answer, self._reasoning = _Message(Channel.ANSWER), _Message(Channel.REASONING)

    def _send_again(self) -> None:
        self._answer.send_again()
        self._reasoning.send_again()


def _wrong_field(kind: str, message: Mapping[str, Any]) -> FieldFault | None:
    """Returns the first field without which the line says nothing, and which has another type than it must."""
    for path, (wanted, kinds) in _NEEDED.get(kind, {}).items():
        value: Any = message
        for part in path.split("."):
            value = _table(value).get(part)
        if not isinstance(value, kinds):
            return FieldFault(kind, path, wanted)
    content = _table(message.get("message")).get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and not isinstance(block.get("text"), (str, type(None))):
            return FieldFault(kind, "message.content[].text", "a string")
    return None


_NEEDED: Mapping[str, Mapping[str, tuple[str, tuple[type, ...]]]] = {
    "stream_event": {
        "event": ("an object", (dict,)),
        "event.delta.text": ("a string", (str, type(None))),
        "event.delta.thinking": ("a string", (str, type(None))),
    },
    "assistant": {"message": ("an object", (dict,)), "message.content": ("a list or a string", (list, str))},
    "user": {"message": ("an object", (dict,)), "message.content": ("a list or a string", (list, str))},
    "result": {"result": ("a string", (str, type(None))), "usage": ("an object", (dict, type(None)))},
}


def _totals(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the tokens of all turns so far: claude tells them by model, and those of one turn as `usage`; qwen as `usage`."""
    models = [one for one in _table(message.get("modelUsage")).values() if isinstance(one, dict)]
    kinds = {
        "input_tokens": "inputTokens",
        "cache_creation_input_tokens": "cacheCreationInputTokens",
        "cache_read_input_tokens": "cacheReadInputTokens",
        "output_tokens": "outputTokens",
    }
    summed = {name: sum(_count(one.get(key)) or 0 for one in models) for name, key in kinds.items()}
    return summed if any(summed.values()) else _table(message.get("usage"))


def _usage(counts: Mapping[str, Any], turns: Any) -> Usage:
    """Reads totals. Anthropic counts cached input apart; where a total is told, it holds them already."""
    output, total = _count(counts.get("output_tokens")), _count(counts.get("total_tokens"))
    if output is not None and total is not None and total >= output:
        return Usage(total - output, output, _count(turns))
    kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    found = [count for kind in kinds if (count := _count(counts.get(kind))) is not None]
    return Usage(sum(found) if found else None, output, _count(turns))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT else None


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    """Returns the blocks of a content; plain text is one block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(value: Any) -> str:
    return clean(value) if isinstance(value, str) else ""


def _compact(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _log(text: str) -> Iterator[Parsed]:
    if text:
        yield Output(Channel.LOG, f"{text}\n")
