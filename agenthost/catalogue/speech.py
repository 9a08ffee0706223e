"""Speaks as a model does: chat completions, OpenAI's responses, Anthropic's messages, Gemini's API. `played_model` carries it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STREAM = {"content-type": "text/event-stream"}
INPUT_TOKENS, OUTPUT_TOKENS = (
    20_000,
    20,
)  # as many as the long prompts of these agents take: fewer would mean a cut prompt
_USAGE = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS}


@dataclass(frozen=True, slots=True)
class Call:
    """The model asks for a tool, by the agent's own name of it."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


Pieces = tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]  # before, the words or the call, after


def results_in(body: Mapping[str, Any]) -> list[Any]:
    """Returns what tools said so far, in the form of any of the APIs."""
    found: list[Any] = []
    for message in body.get("messages", []):
        if message.get("role") == "tool":
            found.append(message.get("content"))
        elif message.get("role") == "user" and isinstance(message.get("content"), list):
            found += [part.get("content") for part in message["content"] if part.get("type") == "tool_result"]
    given = body.get("input")
    for item in given if isinstance(given, list) else ():
        if str(item.get("type")).endswith("_call_output"):
            found.append(item.get("output"))
    for content in body.get("contents", []):
        found += [part["functionResponse"] for part in content.get("parts", []) if "functionResponse" in part]
    return found


def tools_in(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Returns the tools that a request offers, each with the schema of its arguments."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in body.get("tools") or ():
        for one in tool.get("functionDeclarations") or [tool.get("function", tool)]:
            schema = one.get("parameters") or one.get("parametersJsonSchema") or one.get("input_schema") or {}
            found[str(one.get("name"))] = schema
    return found


def streamed(target: str, step: str | Call) -> Pieces:
    """Returns a streamed answer to a request of this path: words, or a call."""
    if "/messages" in target:
        return _messages(step)
    if "/responses" in target:
        return _responses(step)
    return _gemini(step) if "generatecontent" in target.lower() else _chat(step)


def whole(target: str, text: str) -> bytes:
    """Returns an answer that is not streamed."""
    usage: Mapping[str, Any] = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    if "count" in target:
        return json.dumps({"input_tokens": 10, "totalTokens": 10}).encode()
    if "/messages" in target:
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "played", "stop_reason": "end_turn"}
        return json.dumps({**head, "content": [{"type": "text", "text": text}], "usage": usage}).encode()
    if "generatecontent" in target.lower():
        content = {"role": "model", "parts": [{"text": text}]}
        return json.dumps({"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}]}).encode()
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def _chat(step: str | Call) -> Pieces:
    if isinstance(step, Call):
        call = {"index": 0, "id": step.id, "type": "function"}
        function = {"name": step.name, "arguments": json.dumps(step.arguments)}
        middle, reason = [_delta({"tool_calls": [{**call, "function": function}]})], "tool_calls"
    else:
        middle, reason = [_delta({"content": word}) for word in _words(step)], "stop"
    usage = _data({"choices": [], "usage": _USAGE})
    return [], middle, [_delta({}, finish_reason=reason), usage, b"data: [DONE]\n\n"]


def _responses(step: str | Call) -> Pieces:
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS}
    if isinstance(step, Call):
        item: dict[str, Any] = {"type": "function_call", "id": f"fc_{step.id}", "call_id": step.id, "name": step.name}
        item["arguments"] = json.dumps(step.arguments)
        before, middle = [], [_event("response.output_item.done", output_index=0, item=item)]
        after = []
    else:
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
        before = [_event("response.output_item.added", output_index=0, item=item)]
        middle = [_event("response.output_text.delta", item_id="msg_1", delta=word) for word in _words(step)]
        said = {**item, "content": [{"type": "output_text", "text": "".join(_words(step))}]}
        after = [_event("response.output_item.done", output_index=0, item=said)]
    return (
        [_event("response.created", response={"id": "resp_1"}), *before],
        middle,
        [*after, _event("response.completed", response={"id": "resp_1", "usage": usage})],
    )


def _messages(step: str | Call) -> Pieces:
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "played", "content": [], "usage": usage}
    if isinstance(step, Call):
        block: Mapping[str, Any] = {"type": "tool_use", "id": step.id, "name": step.name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(step.arguments)}]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in _words(step)]
    reason = {"stop_reason": "tool_use" if isinstance(step, Call) else "end_turn"}
    return (
        [_event("message_start", message=head), _event("content_block_start", index=0, content_block=block)],
        [_event("content_block_delta", index=0, delta=delta) for delta in deltas],
        [
            _event("content_block_stop", index=0),
            _event("message_delta", delta=reason, usage={"output_tokens": OUTPUT_TOKENS}),
            _event("message_stop"),
        ],
    )


def _gemini(step: str | Call) -> Pieces:
    if isinstance(step, Call):
        parts: list[Any] = [{"functionCall": {"name": step.name, "args": step.arguments}}]
    else:
        parts = [{"text": word} for word in _words(step)]
    total = INPUT_TOKENS + OUTPUT_TOKENS
    usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS, "totalTokenCount": total}
    end = {"candidates": [{"index": 0, "content": {"role": "model", "parts": []}, "finishReason": "STOP"}]}
    contents = [{"role": "model", "parts": [part]} for part in parts]
    middle = [_data({"candidates": [{"index": 0, "content": content}]}) for content in contents]
    return [], middle, [_data({**end, "usageMetadata": usage})]


def _words(text: str) -> list[str]:
    return [f"{word} " for word in text.split(" ")]


def _delta(fields: Mapping[str, Any], **more: Any) -> bytes:
    return _data({"choices": [{"index": 0, "delta": fields, **more}]})


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **fields})


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
