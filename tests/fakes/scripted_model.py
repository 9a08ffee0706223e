"""A model that follows a script over three APIs: chat completions, Anthropic's messages and Gemini's. For agents that others made.

It has no state: how many results of tools a request holds says which step of the script is due. Requests that offer no
tools, as for a title, get a word.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.fakes import chat
from tests.fakes.model_server import BREAK_OFF, Answer, Asked

STREAM = {"content-type": "text/event-stream"}
INPUT_TOKENS, OUTPUT_TOKENS = 1_000, 20
ASIDE = "Title"


@dataclass(frozen=True)
class Call:
    """The model asks for a tool, by the agent's own name of it."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Broken:
    """The model says this, and the connection breaks."""

    text: str


@dataclass(frozen=True)
class Failing:
    """The endpoint refuses."""

    status: int
    headers: Mapping[str, str] | None = None


Step = str | Call | Broken | Failing | Answer


class ScriptedModel:
    """Answers each request with the step that is due; the last step is repeated."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.bodies: list[Mapping[str, Any]] = []  # of the requests that offered tools

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return chat.models({"id": "stub-model"})
        body = json.loads(asked.body)
        if "count_tokens" in asked.target or "countTokens" in asked.target:
            return Answer(pieces=[json.dumps({"input_tokens": 10, "totalTokens": 10}).encode()])
        speak = _api(asked.target)
        if not body.get("tools"):
            return speak(ASIDE, is_streamed="stream" in asked.target.lower() or body.get("stream") is True)
        self.bodies.append(body)
        at = len(_all_results(body))
        step = self.steps[min(at, len(self.steps) - 1)]
        if isinstance(step, Answer):
            return step
        if isinstance(step, Failing):
            return chat.refused(step.status, "stub error", step.headers)
        return speak(replace(step, id=f"call_{at}") if isinstance(step, Call) else step, is_streamed=True)

    def results(self) -> Sequence[str]:
        """The results of tools that the last request held, as JSON."""
        return [json.dumps(one) for one in _all_results(self.bodies[-1])] if self.bodies else []


def _api(target: str) -> Any:
    if "/messages" in target:
        return _messages
    return _gemini if "generatecontent" in target.lower() else _chat


def _all_results(body: Mapping[str, Any]) -> list[Any]:
    """Returns what tools said since the user last spoke in words."""
    found: list[Any] = []
    for message in body.get("messages", []):
        if message.get("role") == "tool":
            found.append(message.get("content"))
        elif message.get("role") == "user" and isinstance(message.get("content"), list):
            found += [part["content"] for part in message["content"] if part.get("type") == "tool_result"]
    for content in body.get("contents", []):
        found += [part["functionResponse"] for part in content.get("parts", []) if "functionResponse" in part]
    return found


def _chat(step: str | Call | Broken, *, is_streamed: bool) -> Answer:
    if isinstance(step, Broken):
        return chat.cut_off(step.text)
    if isinstance(step, Call):
        return chat.calls((step.name, step.arguments), call_id=step.id)
    if is_streamed:
        return chat.words(*_tokens(step))
    message = {"role": "assistant", "content": step}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _json({"id": "c", "object": "chat.completion", "choices": [choice], "usage": chat.USAGE})


def _messages(step: str | Call | Broken, *, is_streamed: bool) -> Answer:
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stub", "content": [], "usage": usage}
    text = step if isinstance(step, str) else step.text if isinstance(step, Broken) else ""
    if not is_streamed:
        return _json({**head, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"})
    events: list[Mapping[str, Any]] = [{"type": "message_start", "message": head}]
    if isinstance(step, Call):
        block = {"type": "tool_use", "id": step.id, "name": step.name, "input": {}}
        deltas: list[Any] = [{"type": "input_json_delta", "partial_json": json.dumps(step.arguments)}]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": token} for token in _tokens(text)]
    events.append({"type": "content_block_start", "index": 0, "content_block": block})
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    if isinstance(step, Broken):
        return Answer(headers=STREAM, pieces=[*map(_event, events), BREAK_OFF])
    reason = "tool_use" if isinstance(step, Call) else "end_turn"
    events.append({"type": "content_block_stop", "index": 0})
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": OUTPUT_TOKENS}}
    )
    return Answer(headers=STREAM, pieces=[_event(event) for event in [*events, {"type": "message_stop"}]])


def _gemini(step: str | Call | Broken, *, is_streamed: bool) -> Answer:
    if isinstance(step, Call):
        parts: list[Any] = [{"functionCall": {"name": step.name, "args": step.arguments}}]
    else:
        parts = [{"text": token} for token in _tokens(step if isinstance(step, str) else step.text)]
    chunks = [{"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]} for part in parts]
    if isinstance(step, Broken):
        return Answer(headers=STREAM, pieces=[*map(chat.event, chunks), BREAK_OFF])
    usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS, "totalTokenCount": 1_020}
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"  # type: ignore[index]
    chunks[-1]["usageMetadata"] = usage  # type: ignore[assignment]
    if not is_streamed:
        return _json(
            {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
        )
    return Answer(headers=STREAM, pieces=[chat.event(chunk) for chunk in chunks])


def _tokens(text: str) -> list[str]:
    return [f"{word} " for word in text.split(" ")]


def _event(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\n".encode() + chat.event(event)


def _json(value: Mapping[str, Any]) -> Answer:
    return Answer(pieces=[json.dumps(value).encode()])
