"""Keeps E8: which settings of fields an operator may write, and requests that no list of fields fits."""

from typing import Any

import pytest

from agenthost.core.models.endpoint import Endpoint, EndpointError, parse_endpoint
from agenthost.core.models.fields.apis import fields_of
from agenthost.core.models.gateway_rules import judge_body

MESSAGES = "/v1/messages"


def endpoint(**settings: Any) -> Endpoint:
    return parse_endpoint("main", {"url": "https://models.example", **settings})


@pytest.mark.parametrize("fields", ["config", [3], ["a b"], [""], ["x"] * 101])
def test_a_setting_of_fields_is_a_list_of_names(fields: Any) -> None:
    with pytest.raises(EndpointError, match=r"models\.main\.request_fields"):
        endpoint(request_fields=fields)


def test_a_request_for_a_list_has_no_body() -> None:
    fields = fields_of("GET", "/v1/models")

    assert judge_body(b"{}", endpoint(), fields) is None
    assert judge_body(b'{"tools": []}', endpoint(), fields) is not None


def test_a_deeply_nested_request_is_refused_without_an_error() -> None:
    deep = '{"type": "tool_result", "content": [' * 400 + "]}" * 400
    body = f'{{"messages": [{{"content": [{deep}]}}]}}'.encode()
    refusal = judge_body(body, endpoint(), fields_of("POST", MESSAGES))

    assert refusal is None or refusal.code == "unreadable_request"
