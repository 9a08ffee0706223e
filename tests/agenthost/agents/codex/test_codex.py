"""The bridge of codex, over what the real one said (`transcripts`). Keeps D1 and D7."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from agenthost.agents.bridge.telling import Telling
from agenthost.agents.codex.items import Items
from agenthost.agents.codex.session import answer
from agenthost.agents.voice import Voice
from tests.agenthost.agents.bridge.driven import Ended, replayed

pytestmark = pytest.mark.processes

FOLDER = Path(__file__).parent / "transcripts"
ODD = (None, True, 5, 1e9, "x", [], {}, [5], [[]], {"a": {}}, [{}], [None], {"text": 5})
METHODS = (
    "item/agentMessage/delta", "item/reasoning/textDelta", "item/reasoning/summaryPartAdded", "item/started", "item/completed",
    "thread/tokenUsage/updated", "turn/started", "turn/completed", "error", "warning", "configWarning", "new/method",
)  # fmt: skip
KINDS = (
    "agentMessage",
    "reasoning",
    "commandExecution",
    "fileChange",
    "mcpToolCall",
    "webSearch",
    "imageView",
    "newKind",
)


def transcript(tmp_path: Path, name: str) -> Ended:
    return replayed(tmp_path, "codex", FOLDER / f"{name}.jsonl")


class Said:
    """Items, and what they told."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.items = Items(Telling(Voice(self._stream)))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def answer(self) -> str:
        return "".join(line["text"] for line in self.lines if line["type"] == "answer")


def test_an_answer_comes_word_by_word_with_its_usage(tmp_path: Path) -> None:
    ended = transcript(tmp_path, "text")

    assert ended.code == 0, ended.lines
    assert ended.text("answer") == "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8 tok9 "
    assert len(ended.said("answer")) == 10
    assert ended.said("usage") == [{"type": "usage", "input_tokens": 11, "output_tokens": 22, "turns": 1}]


def test_a_command_is_told_with_its_output_and_its_failure(tmp_path: Path) -> None:
    ended = transcript(tmp_path, "write")

    (call,), (result,) = ended.said("tool_call"), ended.said("tool_result")
    assert call["name"] == "exec_command"
    assert "cat a.txt; touch P9" in call["arguments"]["command"]
    assert (result["id"], result["failed"]) == (call["id"], True)
    assert "Read-only file system" in result["text"]
    assert ended.text("answer").startswith("The tool said")
    assert ended.said("usage")[-1]["output_tokens"] == 44


def test_two_turns_with_commands_that_were_asked_for(tmp_path: Path) -> None:
    """Keeps D13: reading a file and the history is permitted, a write refused; the usage of both turns adds up."""
    ended = replayed(tmp_path, "codex", FOLDER / "turns.jsonl", "And else?")

    assert ended.code == 0, ended.text("log")
    assert [one["failed"] for one in ended.said("tool_result")] == [False, False, True]
    assert ended.said("tool_result")[1]["text"] == "one\n"
    assert ended.text("denial") == "refused: /bin/bash -lc 'touch new.txt'"
    assert [one["failed"] for one in ended.said("turn")] == [False, False]
    assert ended.text("answer") == "It says hello. It says hello. "
    assert (ended.said("usage")[-1]["input_tokens"], ended.said("usage")[-1]["turns"]) == (100_000, 2)


def test_warnings_are_log_and_no_answer(tmp_path: Path) -> None:
    assert "Model metadata for `stub-model` not found" in transcript(tmp_path, "text").text("log")


def test_a_message_that_did_not_stream_is_told_whole_and_one_that_did_only_once() -> None:
    said = Said()
    said.items.take("item/completed", {"item": {"type": "agentMessage", "id": "a", "text": "Whole."}})
    said.items.take("item/started", {"item": {"type": "agentMessage", "id": "b", "text": ""}})
    said.items.take("item/agentMessage/delta", {"itemId": "b", "delta": "In "})
    said.items.take("item/completed", {"item": {"type": "agentMessage", "id": "b", "text": "In parts."}})

    assert said.answer == "Whole.\n\nIn parts."


def test_thoughts_are_reasoning_and_are_told_once() -> None:
    said = Said()
    said.items.take("item/reasoning/summaryTextDelta", {"itemId": "r", "delta": "Hm."})
    said.items.take("item/reasoning/summaryPartAdded", {"itemId": "r"})
    said.items.take("item/completed", {"item": {"type": "reasoning", "id": "r", "summary": ["Hm."]}})
    said.items.take("item/completed", {"item": {"type": "reasoning", "id": "s", "content": [{"text": "So."}]}})

    assert [line["text"] for line in said.lines] == ["Hm.", "\n\n", "So."]
    assert {line["type"] for line in said.lines} == {"reasoning"}


def test_a_turn_that_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    lines = (FOLDER / "text.jsonl").read_text().splitlines()
    turn = json.loads(lines[-1])
    turn["params"]["turn"] |= {
        "status": "failed",
        "error": {"message": "stream disconnected", "additionalDetails": "cut"},
    }
    (tmp_path / "failed.jsonl").write_text("\n".join([*lines[:-1], json.dumps(turn)]))
    ended = replayed(tmp_path, "codex", tmp_path / "failed.jsonl")

    assert ended.code == 1
    assert "codex ended its turn as failed: stream disconnected (cut)" in ended.text("log")


def test_codex_that_ends_in_mid_turn_is_told(tmp_path: Path) -> None:
    lines = (FOLDER / "text.jsonl").read_text().splitlines()
    (tmp_path / "short.jsonl").write_text("\n".join(lines[:3]))
    ended = replayed(tmp_path, "codex", tmp_path / "short.jsonl")

    assert ended.code == 1
    # Whether its end is met by the next request or by the wait for an answer is up to the kernel.
    assert re.search("the agent (ended before it answered|reads no more)", ended.text("log"))


@pytest.mark.parametrize(
    ("method", "asked", "answered", "told"),
    [
        ("item/commandExecution/requestApproval", {"commandActions": [{"type": "read"}]}, {"decision": "accept"}, ""),
        (
            "item/commandExecution/requestApproval",
            {"command": "touch x", "commandActions": [{"type": "read"}, {"type": "unknown"}]},
            {"decision": "decline"},
            "refused: touch x",
        ),
        (
            "item/commandExecution/requestApproval",
            {"commandActions": []},
            {"decision": "decline"},
            "refused: a command",
        ),
        (
            "item/commandExecution/requestApproval",
            {"commandActions": [{"type": "read"}], "networkApprovalContext": {"host": "x"}},
            {"decision": "decline"},
            "refused: a command",
        ),
        ("item/fileChange/requestApproval", {}, {"decision": "decline"}, "refused: a change of files"),
        ("item/permissions/requestApproval", {"reason": "net"}, {"permissions": {}}, "refused: more permissions"),
        ("item/tool/requestUserInput", {}, {"answers": {}}, "there is no person to answer it"),
        ("mcpServer/elicitation/request", {}, {"action": "decline", "content": None}, "refused: a form"),
        ("item/tool/call", {}, None, "item/tool/call, which is not offered"),
    ],
)
def test_reading_is_allowed_and_everything_else_refused_and_told(
    method: str, asked: dict[str, Any], answered: dict[str, Any] | None, told: str
) -> None:
    stream = io.StringIO()

    assert answer(Voice(stream), method, asked) == answered
    assert told in stream.getvalue()
    assert bool(stream.getvalue()) == bool(told)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_field_of_another_type_ends_no_turn_and_allows_nothing(odd: Any) -> None:
    said = Said()
    for method in METHODS:
        for field in ("item", "itemId", "delta", "tokenUsage", "turn", "error", "summary"):
            said.items.take(method, {field: odd})
        for kind in KINDS:
            for field in ("id", "text", "summary", "status", "arguments", "changes", "aggregatedOutput", "result"):
                said.items.take(method, {"item": {"type": kind, field: odd}})
    asked = {"commandActions": odd, "command": odd}
    allowed = answer(Voice(io.StringIO()), "item/commandExecution/requestApproval", asked)
    said.items.take("item/agentMessage/delta", {"itemId": "z", "delta": "yes"})

    assert allowed == {"decision": "decline"}
    assert said.answer.endswith("yes")
