"""Keeps E8: what a request asks the provider to do on its side is seen, in the shapes of every API, however it is written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models.endpoint import Endpoint, parse_endpoint
from agenthost.core.models.gateway_rules import Refusal, judge_body
from agenthost.core.models.provider_tools import (
    MAX_VALUES,
    UNKNOWN,
    URL_SOURCES,
    UnreadableBodyError,
    plain_name,
    provider_tools,
    read_body,
)

FUNCTION = {"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}
GEMINI_FUNCTION = {"functionDeclarations": [{"name": "read", "parameters": {}}]}


def asked(**body: Any) -> frozenset[str]:
    return provider_tools(read_body(json.dumps(body).encode()))


OPENAI = [
    ({"tools": [{"type": "web_search"}]}, "web_search"),
    ({"tools": [{"type": "web_search_preview_2025_03_11"}]}, "web_search"),
    ({"tools": [FUNCTION, {"type": "file_search", "vector_store_ids": ["x"]}]}, "file_search"),
    ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter"),
    ({"tools": [{"type": "mcp", "server_url": "https://evil.example"}]}, "mcp"),
    ({"tools": [{"type": "image_generation"}]}, "image_generation"),
    ({"tools": [{"type": "computer_use_preview"}]}, "computer_use"),
    ({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "shell"),
    ({"tools": [{"type": "tool_search"}]}, "tool_search"),
    ({"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]}, "web_search"),
    ({"tools": [{"type": "not_known_yet"}]}, "not_known_yet"),
    ({"web_search_options": {}}, "web_search"),
    ({"model": "gpt-4o-search-preview"}, "web_search"),
    ({"model": "some/model:online"}, "web_search"),
    ({"model": "some/model:ONLINE"}, "web_search"),
    ({"model": "some/model", "models": ["another/model", "some/model:online"]}, "web_search"),
    ({"model": "perplexity/sonar-pro"}, "web_search"),
    ({"model": "groq/compound-mini"}, "web_search"),
    ({"compound_custom": {"tools": {"enabled_tools": ["code_interpreter"]}}}, "compound"),
    ({"model": "some/model@preset/mine"}, "stored_prompt"),
    ({"preset": "mine"}, "stored_prompt"),
    ({"connectors": [{"id": "web-search"}]}, "connectors"),
    ({"input": {"messages": []}, "parameters": {"enable_search": True}}, "web_search"),
    ({"enable_code_interpreter": True}, "code_interpreter"),
    ({"plugins": [{"id": "web"}]}, "plugins"),
    ({"prompt": {"id": "pmpt_1"}}, "stored_prompt"),
    ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "https://evil.example"}}]}]}, URL_SOURCES),
    ({"input": [{"content": [{"type": "input_file", "file_url": "https://evil.example"}]}]}, URL_SOURCES),
    ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]}, URL_SOURCES),
]
ANTHROPIC = [
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search"),
    ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "web_fetch"),
    ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "code_execution"),
    ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "mcp_toolset"),
    ({"mcp_servers": [{"type": "url", "url": "https://evil.example"}]}, "mcp"),
    ({"container": {"skills": []}}, "code_execution"),
    ({"requests": [{"params": {"tools": [{"type": "web_fetch_20250910"}]}}]}, "web_fetch"),
    ({"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": "http://x"}}]}]}, URL_SOURCES),
    (
        {"messages": [{"content": [{"type": "tool_result", "content": [{"source": {"type": "url", "url": "x"}}]}]}]},
        URL_SOURCES,
    ),
]
GEMINI = [
    ({"tools": [{"google_search": {}}]}, "google_search"),
    ({"tools": [{"googleSearch": {}}]}, "google_search"),
    ({"tools": [{"codeExecution": {}}]}, "code_execution"),
    ({"tools": [{"urlContext": {}}, GEMINI_FUNCTION]}, "url_context"),
    ({"tools": {"googleMaps": {}}}, "google_maps"),
    ({"tools": [{**GEMINI_FUNCTION, "newThing": {}}]}, "new_thing"),
    ({"cachedContent": "cachedContents/x"}, "cached_content"),
    ({"batch": {"inputConfig": {"requests": {"requests": [{"request": {"tools": [{"googleSearch": {}}]}}]}}}}, None),
    ({"contents": [{"parts": [{"fileData": {"fileUri": "https://evil.example/x"}}]}]}, URL_SOURCES),
]
# Requests that hope to be misread.
DEVIOUS = [
    ({"Tools": [{"Type": "web_search"}]}, "web_search"),
    ({"tools": [{"type": "function", "name": "x", "google_search": {}}]}, "google_search"),
    ({"tools": [{"type": "function", "Type": "web_search"}]}, UNKNOWN),
    ({"tools": [{"type": ["web_search"]}]}, UNKNOWN),
    ({"tools": ["web_search"]}, UNKNOWN),
    ({"tools": [{}]}, UNKNOWN),
    ({"tools": [{"type": "<b>\x1b[31m"}]}, UNKNOWN),
]


@pytest.mark.parametrize(("body", "name"), [*OPENAI, *ANTHROPIC, *GEMINI, *DEVIOUS])
def test_what_the_provider_is_to_do_is_named(body: dict[str, Any], name: str | None) -> None:
    assert (name or "google_search") in asked(**body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": [FUNCTION, {"type": "function", "name": "read", "parameters": {}}]},
        {"tools": [{"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}}, {"type": "local_shell"}]},
        {"tools": [{"type": "namespace", "name": "x", "tools": [FUNCTION]}, {"type": "apply_patch"}]},
        {
            "tools": [
                {"type": "shell", "environment": {"type": "local"}},
                {"type": "tool_search", "execution": "client"},
            ]
        },
        {"tools": [{"name": "WebSearch", "input_schema": {"type": "object", "properties": {"type": {}}}}]},
        {"tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728", "name": "e"}]},
        {"tools": [GEMINI_FUNCTION, {"function_declarations": []}]},
        {"tools": None, "mcp_servers": [], "web_search_options": None, "enable_search": False},
        {"prompt": "complete this", "model": "gpt-5"},
        {"messages": [{"role": "user", "content": "read https://example.com with web_search"}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]},
        # What the agent's own tools were called with is data, even where it looks like something else.
        {"messages": [{"content": [{"type": "tool_use", "name": "x", "input": {"image_url": "https://x.example"}}]}]},
        {"contents": [{"parts": [{"functionCall": {"name": "x", "args": {"fileUri": "https://x.example"}}}]}]},
    ],
)
def test_an_agents_own_tools_and_words_are_not_the_providers(body: dict[str, Any]) -> None:
    assert asked(**body) == frozenset()


@pytest.mark.parametrize(
    "body",
    [
        b"x", b"[]", b'"x"', b"{}{}", b'{"tools": [{"type": "web_search"}], "tools": []}', b'{"a": NaN}', b'{"a": 1,}',
        b'{"a": "\xff"}', '{"tools": []}'.encode("utf-16"), b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000,
        b'{"a": "\n"}', b'{"a": ' + b"9" * 5000 + b"}", b'{"a": [' + b"0," * MAX_VALUES + b"0]}",
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
def test_a_body_that_two_could_read_in_two_ways_is_none(body: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        read_body(body)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("web_search", "web_search"), ("web_search_20250305", "web_search"), ("web_search_preview", "web_search"),
        ("web_search_preview_2025_03_11", "web_search"), ("web_search_2025-08-26", "web_search"),
        ("googleSearch", "google_search"), ("code_20250825_x", "code_20250825_x"), ("x_1234567", "x_1234567"),
    ],
)  # fmt: skip
def test_a_name_is_compared_without_its_edition(name: str, plain: str) -> None:
    assert plain_name(name) == plain


KEYS = st.sampled_from(["tools", "type", "input", "image_url", "url", "request", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(VALUES)
def test_whatever_is_sent_is_judged_without_an_error(value: Any) -> None:
    for name in asked(tools=value, input=value, request=value, model=value):
        assert name == UNKNOWN or plain_name(name) == name


def endpoint(*tools: str) -> Endpoint:
    return parse_endpoint("main", {"url": "https://models.example", "provider_tools": list(tools)})


def test_a_refusal_names_the_tool_and_what_an_operator_can_do() -> None:
    body = json.dumps({"tools": [{"type": "web_search_20250305"}, {"type": "mcp"}, {"type": 3}]}).encode()
    refusal = judge_body(body, endpoint("mcp"))

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (403, "provider_tool_not_allowed")
    assert "run an unknown tool, web_search on its side" in refusal.text
    assert '[models.main]: provider_tools = ["mcp", "web_search"]' in refusal.text


def test_what_the_operator_allowed_passes() -> None:
    body = json.dumps({"tools": [{"type": "web_search_20250305"}, FUNCTION]}).encode()

    assert judge_body(body, endpoint("web_search")) is None
    assert judge_body(b"", endpoint()) is None


def test_a_body_that_cannot_be_judged_is_refused_with_the_reason() -> None:
    refusal = judge_body(b'{"a": 1, "a": 2}', endpoint())

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, "unreadable_request")
    assert "same key twice" in refusal.text
