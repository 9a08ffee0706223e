"""A model that follows a script over three APIs: chat completions, Anthropic's messages and Gemini's. For agents that others made.

It has no state: how many results of tools a request holds says which step of the script is due. Requests that offer no
tools, as for a title, get a word.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.fakes import chat
from tests.fakes.model_server import BREAK_OFF, Answer, Asked

STREAM = {"content-type": "text/event-stream"}
INPUT_TOKENS, OUTPUT_TOKENS = 1_000, 20


@dataclass(frozen=True)
class Say:
    """The model says this, a word at a time. It may wait after the first word, or break off after the last."""

    text: str
    wait: asyncio.Event | None = None
    breaks_off: bool = False


@dataclass(frozen=True)
class Call:
    """The model asks for a tool, by the agent's own name of it."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Fail:
    """The endpoint refuses."""

    status: int
    headers: Mapping[str, str] | None = None


Step = Say | Call | Fail
ASIDE = Say("Title")
Pieces = tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]  # before, the words or the call, after


class ScriptedModel:
    """Answers each request with the step that is due; the last step is repeated."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.results: list[str] = []  # of the tools, in the last request, as JSON

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return chat.models({"id": "stub-model"})
        body = json.loads(asked.body)
        if "count" in asked.target:
            return _json({"input_tokens": 10, "totalTokens": 10})
        is_streamed = "stream" in asked.target.lower() or body.get("stream") is True
        if not body.get("tools"):
            return _answer(asked.target, ASIDE) if is_streamed else _whole(asked.target, ASIDE.text)
        self.results = [json.dumps(one) for one in _results(body)]
        at = len(self.results)
        step = self.steps[min(at, len(self.steps) - 1)]
        if isinstance(step, Fail):
            return chat.refused(step.status, "stub error", step.headers)
        return _answer(asked.target, replace(step, id=f"call_{at}") if isinstance(step, Call) else step)


def _results(body: Mapping[str, Any]) -> list[Any]:
    """Returns what tools said, in the form of any of the APIs."""
    found: list[Any] = []
    for message in body.get("messages", []):
        if message.get("role") == "tool":
            found.append(message.get("content"))
        elif message.get("role") == "user" and isinstance(message.get("content"), list):
            found += [part["content"] for part in message["content"] if part.get("type") == "tool_result"]
    for content in body.get("contents", []):
        found += [part["functionResponse"] for part in content.get("parts", []) if "functionResponse" in part]
    return found


def _answer(target: str, step: Say | Call) -> Answer:
    if "/messages" in target:
        before, middle, after = _messages(step)
    elif "generatecontent" in target.lower():
        before, middle, after = _gemini(step)
    else:
        before, middle, after = _chat(step)
    pieces: list[bytes | asyncio.Event] = [*before, *middle, *after]
    if isinstance(step, Say) and step.breaks_off:
        pieces = [*before, *middle, BREAK_OFF]
    if isinstance(step, Say) and step.wait:
        pieces.insert(len(before) + 1, step.wait)
    return Answer(headers=STREAM, pieces=pieces)


def _chat(step: Say | Call) -> Pieces:
    if isinstance(step, Call):
        answer = chat.calls((step.name, step.arguments), call_id=step.id)
        return [], [piece for piece in answer.pieces if isinstance(piece, bytes)], []
    end = chat.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = chat.event({"choices": [], "usage": chat.USAGE})
    return [], [chat.delta(content=word) for word in _words(step)], [end, usage, b"data: [DONE]\n\n"]


def _messages(step: Say | Call) -> Pieces:
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stub", "content": [], "usage": usage}
    if isinstance(step, Call):
        block: Mapping[str, Any] = {"type": "tool_use", "id": step.id, "name": step.name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(step.arguments)}]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in _words(step)]
    reason = {"stop_reason": "tool_use" if isinstance(step, Call) else "end_turn"}
    return (
        [
            _event("message_start", message=head),
            _event("content_block_start", index=0, content_block=block),
        ],
        [_event("content_block_delta", index=0, delta=delta) for delta in deltas],
        [
            _event("content_block_stop", index=0),
            _event("message_delta", delta=reason, usage={"output_tokens": OUTPUT_TOKENS}),
            _event("message_stop"),
        ],
    )


def _gemini(step: Say | Call) -> Pieces:
    if isinstance(step, Call):
        parts: list[Any] = [{"functionCall": {"name": step.name, "args": step.arguments}}]
    else:
        parts = [{"text": word} for word in _words(step)]
    usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS, "totalTokenCount": 1_020}
    end = {"candidates": [{"index": 0, "content": {"role": "model", "parts": []}, "finishReason": "STOP"}]}
    return (
        [],
        [chat.event({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]}) for part in parts],
        [chat.event({**end, "usageMetadata": usage})],
    )


def _whole(target: str, text: str) -> Answer:
    """Returns an answer that is not streamed."""
    if "/messages" in target:
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
        block = {"type": "text", "text": text}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stub", "stop_reason": "end_turn"}
        return _json({**head, "content": [block], "usage": usage})
    if "generatecontent" in target.lower():
        content = {"role": "model", "parts": [{"text": text}]}
        return _json({"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}]})
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _json({"id": "c", "object": "chat.completion", "choices": [choice], "usage": chat.USAGE})


def _words(step: Say) -> list[str]:
    return [f"{word} " for word in step.text.split(" ")]


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + chat.event({"type": kind, **fields})


def _json(value: Mapping[str, Any]) -> Answer:
    return Answer(pieces=[json.dumps(value).encode()])
