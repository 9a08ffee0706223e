"""Keeps E8: a request has only the fields that are listed for its API, by their exact spelling; what is not listed is named."""

import json
from typing import Any

import pytest

from agenthost.core.models.endpoint import Endpoint, parse_endpoint
from agenthost.core.models.fields.apis import fields_of
from agenthost.core.models.gateway_rules import Refusal, judge_body

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GEMINI = "/v1beta/models/gemini-x:streamGenerateContent"
TOOL = {
    "type": "function",
    "function": {"name": "read", "description": "", "parameters": {"any": {"url": "x"}}, "strict": True},
}
PICTURE = "data:image/png;base64,AA=="


def endpoint(**settings: Any) -> Endpoint:
    return parse_endpoint("main", {"url": "https://models.example", **settings})


def judged(path: str, body: dict[str, Any], **settings: Any) -> Refusal | None:
    fields = fields_of("POST", path)
    assert fields is not None
    return judge_body(json.dumps(body).encode(), endpoint(**settings), fields)


def said(*content: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [fields]}


def parts(*content: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(content)}]}


PASSING: list[tuple[str, dict[str, Any]]] = [
    (
        CHAT,
        {
            "model": "m",
            "messages": [{"role": "system", "content": "x", "name": "n"}],
            "stream": True,
            "n": 1,
            "stop": ["x"],
            "stream_options": {"include_usage": True},
            "temperature": 0.1,
            "top_p": 1,
            "top_k": 3,
            "min_p": 0.1,
            "seed": 4,
            "max_tokens": 9,
            "max_completion_tokens": 9,
            "presence_penalty": 0,
            "logit_bias": {"50256": -100},
            "logprobs": True,
            "metadata": {"team": "x"},
            "user": "u",
            "reasoning_effort": "low",
            "parallel_tool_calls": False,
            "store": False,
        },
    ),
    (
        CHAT,
        {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "read"}},
        },
    ),
    (
        CHAT,
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"url": {"x": 1}}},
            }
        },
    ),
    (
        CHAT,
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "x",
                    "reasoning_details": [{"type": "t", "text": "x"}],
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "index": 0,
                            "function": {"name": "f", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "x"}},
                        }
                    ],
                },
                {
                    "role": "tool",
                    "tool_call_id": "1",
                    "content": [{"type": "text", "text": "http://x", "cache_control": {"type": "ephemeral"}}],
                },
            ]
        },
    ),
    (CHAT, said({"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}})),
    (CHAT, said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
    (
        CHAT,
        {
            "thinking": {"type": "enabled", "budget_tokens": 9},
            "enable_thinking": True,
            "chat_template_kwargs": {"enable_thinking": False},
        },
    ),
    (
        CHAT,
        {
            "reasoning": {"effort": "high", "exclude": True},
            "provider": {"order": ["x"], "sort": "price"},
            "usage": {"include": True},
        },
    ),
    (
        CHAT,
        {"options": {"num_ctx": 8192, "stop": ["x"]}, "keep_alive": "5m", "think": False, "format": {"type": "object"}},
    ),
    (
        CHAT,
        {
            "grammar": "root ::= x",
            "cache_prompt": True,
            "id_slot": 0,
            "guided_json": {"a": {"b": 1}},
            "repetition_penalty": 1.1,
        },
    ),
    (
        CHAT,
        {
            "functions": [{"name": "f", "parameters": {}}],
            "function_call": {"name": "f"},
            "mcp_servers": [],
            "web_search_options": None,
        },
    ),
    ("/v1/completions", {"prompt": ["x"], "max_tokens": 3, "echo": True, "suffix": "y", "model": "m"}),
    ("/v1/embeddings", {"input": ["x"], "model": "m", "encoding_format": "float", "dimensions": 3}),
    (
        RESPONSES,
        {
            "input": "x",
            "instructions": "y",
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "stream": True,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "x", "schema": {}}},
            "client_metadata": {"thread_id": "x"},
            "prompt_cache_key": "k",
            "tool_choice": "auto",
            "truncation": "disabled",
        },
    ),
    (
        RESPONSES,
        item(
            type="message",
            role="user",
            content=[{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": PICTURE}],
        ),
    ),
    (
        RESPONSES,
        {
            "input": [
                {"role": "user", "content": "x"},
                {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"},
                {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "x"},
                {"type": "custom_tool_call", "call_id": "2", "name": "apply_patch", "input": "x"},
                {
                    "type": "local_shell_call",
                    "call_id": "3",
                    "action": {"type": "exec", "command": ["ls"]},
                    "status": "completed",
                },
            ]
        },
    ),
    (
        MESSAGES,
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "thinking": {"type": "enabled", "budget_tokens": 9},
            "metadata": {"user_id": "u"},
            "stop_sequences": ["x"],
            "stream": True,
            "tools": [
                {
                    "name": "Read",
                    "description": "",
                    "input_schema": {"x": {"url": 1}},
                    "cache_control": {"type": "ephemeral"},
                }
            ],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "output_config": {"effort": "high"},
            "context_management": {
                "edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}]
            },
        },
    ),
    (
        MESSAGES,
        said(
            {"type": "tool_use", "id": "1", "name": "x", "input": {"image_url": "https://x.example"}},
            {"type": "tool_result", "tool_use_id": "1", "is_error": False, "content": [{"type": "text", "text": "x"}]},
            {"type": "thinking", "thinking": "x", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ),
    ),
    ("/v1/messages/count_tokens", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
    (
        GEMINI,
        {
            **parts(
                {"text": "x"},
                {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
                {"functionCall": {"name": "f", "args": {"fileUri": "x"}}},
                {"functionResponse": {"name": "f", "response": {"output": {"url": "x"}}}},
                {"text": "x", "thought": True, "thoughtSignature": "s"},
            ),
            "systemInstruction": {"role": "user", "parts": [{"text": "x"}]},
            "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}},
            "safetySettings": [{"category": "x", "threshold": "y"}],
            "generationConfig": {"temperature": 0, "thinkingConfig": {"thinkingBudget": -1}},
        },
    ),
    (GEMINI, {"system_instruction": {"parts": [{"text": "x"}]}, "generation_config": {"max_output_tokens": 3}}),
    ("/v1beta/models/x:countTokens", {"generateContentRequest": {"model": "models/x", **parts({"text": "x"})}}),
    (
        "/v1beta/models/x:batchEmbedContents",
        {"requests": [{"model": "models/x", "content": {"parts": [{"text": "x"}]}}]},
    ),
]


@pytest.mark.parametrize(("path", "body"), PASSING)
def test_what_usual_clients_send_passes(path: str, body: dict[str, Any]) -> None:
    assert judged(path, body) is None


SOURCE = "provider tool url_sources"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, said({"type": "image_url", "image_url": {"URL": "data:,x", "url": "http://any.example"}}), SOURCE),
    (
        CHAT,
        said({"type": "image_url", "image_url": {"url": "data:,x", "Url": "http://any.example"}}),
        "field messages.content.image_url.Url",
    ),
    (CHAT, said({"type": "image_url", "image_url": {"url": [["http://any.example"]]}}), SOURCE),
    (CHAT, said({"type": "image_url", "image_url": " http://any.example"}), SOURCE),
    (
        CHAT,
        said({"type": "image_url", "image_url": {"url": {"url": "http://any.example"}}}),
        "field messages.content.image_url.url.url",
    ),
    (CHAT, said({"type": "text", "text": "x", "image_url": "http://any.example"}), "field messages.content.image_url"),
    (CHAT, said({"text": "x", "uri": "http://any.example"}), "field messages.content.uri"),
    (CHAT, said({"type": "Image_url", "image_url": PICTURE}), "field messages.content.type=Image_url"),
    (
        CHAT,
        said({"type": "input_audio", "input_audio": {"data": "https://any.example/x.wav", "format": "wav"}}),
        SOURCE,
    ),
    (CHAT, said({"type": "file", "file": {"file_data": "https://any.example"}}), SOURCE),
    *[(path, {"model": {"tools": []}}, "field model.tools") for path in (CHAT, RESPONSES, MESSAGES, GEMINI)],
    # Endpoints overlook spaces before an address, and line ends within it.
    (CHAT, said({"type": "file", "file": {"file_data": " " * 40 + "https://any.example"}}), SOURCE),
    (CHAT, said({"type": "file", "file": {"file_data": "h" + "\n" * 40 + "ttps://any.example"}}), SOURCE),
    (CHAT, said({"type": "file", "file": "https://any.example"}), SOURCE),
    (CHAT, said({"type": "input_audio", "input_audio": {"data": "\t" * 24 + "http://any.example"}}), SOURCE),
    (CHAT, said({"type": "input_audio", "input_audio": "http://any.example"}), SOURCE),
    (RESPONSES, item(role="user", content=[{"type": "input_file", "file_data": "\x00" * 24 + "ftp://x"}]), SOURCE),
    (MESSAGES, said({"type": "image", "source": "https://any.example"}), SOURCE),
    (MESSAGES, said({"type": "image", "source": {"type": "base64", "data": "\r" * 24 + "file:///etc/x"}}), SOURCE),
    (GEMINI, parts({"inlineData": "https://any.example"}), SOURCE),
    (CHAT, said({"type": "file", "file": {"file_id": "file-1"}}), "field messages.content.file.file_id"),
    (CHAT, {"messages": [{"role": "user", "content": "x", "images": ["http://any.example"]}]}, "field messages.images"),
    (CHAT, {"extra_body": {"tools": [{"type": "web_search"}]}}, "field extra_body"),
    (CHAT, {"config": {"tools": [{"googleSearch": {}}]}}, "field config"),
    (CHAT, {"Messages": []}, "field Messages"),
    (CHAT, {"messages ": []}, "field a field with an odd name"),
    (CHAT, {"\ud800": 1}, "field a field with an odd name"),
    (CHAT, {"request": {"model": "x"}}, "field request"),
    (CHAT, {"chat_template": "{{ x }}"}, "field chat_template"),
    (CHAT, {"lora": [{"id": 0}]}, "field lora"),
    (CHAT, {"options": {"a": {"b": 1}}}, "field options.b"),
    (CHAT, {"stream_options": {"tools": []}}, "field stream_options.tools"),
    (CHAT, {"tools": [{**TOOL, "server_url": "http://any.example"}]}, "field tools.server_url"),
    (
        CHAT,
        {"tools": [{"type": "function", "function": {"name": "x", "url": "http://any.example"}}]},
        "field tools.function.url",
    ),
    (CHAT, {"tools": [{"Type": "function", "function": {"name": "x"}}]}, "field tools.Type"),
    (CHAT, {"tools": [[TOOL]]}, "provider tool an unknown tool"),
    (CHAT, {"model": "some/model:online"}, "provider tool web_search"),
    (CHAT, {"plugins": [{"id": "web"}]}, "provider tool plugins"),
    ("/v1/completions", {"messages": []}, "field messages"),
    ("/v1/Chat/Completions", {"config": 1}, "field config"),
    (RESPONSES, {"previous_response_id": "resp_1", "input": "x"}, "provider tool stored_response"),
    (RESPONSES, item(type="item_reference", id="x"), "provider tool stored_response"),
    (
        RESPONSES,
        item(type="message", role="user", content=[{"type": "input_file", "file_url": "https://any.example"}]),
        SOURCE,
    ),
    (
        RESPONSES,
        item(type="message", role="user", content=[{"type": "input_file", "file_id": "f"}]),
        "field input.content.file_id",
    ),
    (RESPONSES, item(type="tool_search_output", tools=[{"type": "mcp", "server_url": "x"}]), "provider tool mcp"),
    (RESPONSES, item(type="not_known"), "field input.type=not_known"),
    (RESPONSES, item(type=["message"]), "field a field with an odd name"),
    (
        RESPONSES,
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]},
        "provider tool web_search",
    ),
    (MESSAGES, said({"type": "image", "source": {"type": "url", "url": "http://any.example"}}), SOURCE),
    (
        MESSAGES,
        said({"type": "image", "source": {"type": "base64", "data": "x", "url": "http://any.example"}}),
        "field messages.content.source.url",
    ),
    (
        MESSAGES,
        said({"type": "image", "source": {"type": "file", "file_id": "x"}}),
        "field messages.content.source.type=file",
    ),
    (MESSAGES, said({"type": "server_tool_use", "name": "web_fetch", "input": {}}), "provider tool web_fetch"),
    (MESSAGES, {"extra_body": {"mcp_servers": [1]}}, "field extra_body"),
    (GEMINI, {"config": {"tools": [{"googleSearch": {}}]}}, "field config"),
    (GEMINI, parts({"fileData": {"fileUri": "https://any.example"}}), SOURCE),
    (GEMINI, parts({"file_data": {"file_uri": "https://any.example"}}), SOURCE),
    (
        GEMINI,
        parts({"inlineData": {"data": "AA", "fileUri": "https://any.example"}}),
        "field contents.parts.inlineData.fileUri",
    ),
    (GEMINI, {"generationConfig": {"tools": [1]}}, "field generationConfig.tools"),
    (GEMINI, {"systemInstruction": {}, "system_instruction": {}}, "field system_instruction"),
    (GEMINI, {"SystemInstruction": {}}, "field SystemInstruction"),
    ("/v1beta/models/x:batchEmbedContents", {"requests": [{"tools": [1]}]}, "field requests.tools"),
]


@pytest.mark.parametrize(("path", "body", "name"), REFUSED)
def test_what_is_not_listed_is_refused_by_name(path: str, body: dict[str, Any], name: str) -> None:
    refusal = judged(path, body)

    assert refusal is not None
    assert refusal.status == 403
    assert name in refusal.kept_back
    assert name.split(" ", 2)[-1] in refusal.text or "unknown" in name


def test_an_operator_opens_a_field_by_the_name_that_the_refusal_tells() -> None:
    body = {"config": {"a": 1}, "messages": [{"role": "user", "content": [{"type": "novel", "x": 1}]}]}
    refusal = judged(CHAT, body)
    assert refusal is not None
    assert 'under [models.main]: request_fields = ["config", "messages.content.type=novel"]' in refusal.text

    assert judged(CHAT, body, request_fields=["config", "messages.content.type=novel"]) is None
    assert judged(CHAT, {"config ": 1}, request_fields=["config"]) is not None
