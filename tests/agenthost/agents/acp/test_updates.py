"""An agent of the protocol may send any JSON: a field of another type is passed over, and never allows anything. Keeps D7."""

import io
import json
from typing import Any

import pytest

from agenthost.agents.acp.session import answer
from agenthost.agents.acp.updates import Updates, tokens_in
from agenthost.agents.bridge.telling import Telling
from agenthost.agents.voice import Voice

ODD = (None, True, 5, 1e9, "x", [], {}, [5], [[]], {"a": {}}, [{}], [None], {"text": 5})
FIELDS = (
    "sessionUpdate",
    "toolCallId",
    "kind",
    "title",
    "status",
    "locations",
    "rawInput",
    "content",
    "rawOutput",
    "_meta",
)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_field_of_another_type_ends_no_turn(odd: Any) -> None:
    said = io.StringIO()
    updates = Updates(Telling(Voice(said)))
    updates.in_turn = True
    for field in FIELDS:
        for status in ("in_progress", "completed"):
            updates.take({"sessionUpdate": "tool_call", "toolCallId": field, "status": status, field: odd})
    updates.take({"sessionUpdate": "agent_message_chunk", "content": odd})
    updates.take({"sessionUpdate": "agent_message_chunk", "content": {"text": "yes"}})

    assert json.loads(said.getvalue().splitlines()[-1])["text"].strip() == "yes"


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_permission_of_a_strange_kind_is_refused(odd: Any) -> None:
    options = [{"kind": "allow_once", "optionId": "yes"}, {"kind": odd}, {"kind": "reject_once", "optionId": "no"}]
    told = answer(Voice(io.StringIO()), "session/request_permission", {"toolCall": {"kind": odd}, "options": options})

    assert told == {"outcome": {"outcome": "selected", "optionId": "no"}}


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd not in (5, 1e9, True)], ids=repr)
def test_tokens_of_another_type_are_none(odd: Any) -> None:
    for told in (
        {"usage": odd},
        {"usage": {"token_count": odd}},
        {"_meta": {"quota": odd}},
        {"usage": {"inputTokens": odd}},
    ):
        assert tokens_in(told) == (0, 0)
