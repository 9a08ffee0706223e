"""Answers of an OpenAI-compatible endpoint as its servers send them: server-sent events, one piece each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.model_server import BREAK_OFF, Answer

STREAM = {"content-type": "text/event-stream"}
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 20}


def event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(**fields: Any) -> bytes:
    return event({"model": "small", "choices": [{"index": 0, "delta": fields}]})


def streamed(*pieces: bytes, usage: Mapping[str, int] | None = USAGE, finish: str = "stop") -> Answer:
    end = [event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})]
    end += [event({"choices": [], "usage": usage})] if usage else []
    return Answer(headers=STREAM, pieces=[*pieces, *end, b"data: [DONE]\n\n"])


def words(*texts: str, **how: Any) -> Answer:
    return streamed(*(delta(content=text) for text in texts), **how)


def calls(*wanted: tuple[str, Mapping[str, Any]], call_id: str = "c0") -> Answer:
    """Tool calls as OpenAI streams them: the name first, then the arguments in two pieces."""
    pieces = []
    for number, (name, arguments) in enumerate(wanted):
        text = json.dumps(arguments)
        for part in (
            {"id": call_id if number == 0 else f"c{number}", "function": {"name": name, "arguments": ""}},
            text[:5],
            text[5:],
        ):
            call = part if isinstance(part, dict) else {"function": {"arguments": part}}
            pieces.append(delta(tool_calls=[{"index": number, **call}]))
    return streamed(*pieces, finish="tool_calls")


def cut_off(text: str) -> Answer:
    return Answer(headers=STREAM, pieces=[delta(content=text), BREAK_OFF])


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps({"error": {"message": message}}).encode()
    return Answer(status, {"content-type": "application/json", **(headers or {})}, [body])


def models(*entries: Mapping[str, Any]) -> Answer:
    return Answer(pieces=[json.dumps({"object": "list", "data": list(entries)}).encode()])


def asked(body: bytes) -> Sequence[Mapping[str, Any]]:
    """The messages of a request."""
    messages: Sequence[Mapping[str, Any]] = json.loads(body)["messages"]
    return messages
