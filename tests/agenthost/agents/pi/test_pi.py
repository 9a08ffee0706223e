"""The bridge of pi, over what the real one said (`transcripts`). Keeps D1 and D7."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from agenthost.agents.bridge.telling import Telling
from agenthost.agents.pi.events import Events
from agenthost.agents.voice import Voice
from tests.agenthost.agents.bridge.driven import Ended, replayed

pytestmark = pytest.mark.processes

FOLDER = Path(__file__).parent / "transcripts"
ODD = (None, True, 5, 1e9, "x", [], {}, [5], [[]], {"a": {}}, [{}], [None], {"text": 5})
KINDS = ("message_update", "message_end", "tool_execution_start", "tool_execution_end", "auto_retry_start", "new_kind")


def transcript(tmp_path: Path, name: str) -> Ended:
    return replayed(tmp_path, "pi", FOLDER / f"{name}.jsonl")


def test_an_answer_comes_word_by_word_with_its_usage(tmp_path: Path) -> None:
    ended = transcript(tmp_path, "text")

    assert ended.code == 0, ended.lines
    assert ended.text("answer").split() == [f"tok{at}" for at in range(12)]
    assert len(ended.said("answer")) == 12
    assert ended.said("usage") == [{"type": "usage", "input_tokens": 11, "output_tokens": 22, "turns": 1}]


def test_a_file_is_read_and_told_as_a_call_with_its_result(tmp_path: Path) -> None:
    ended = transcript(tmp_path, "read")

    (call,), (result,) = ended.said("tool_call"), ended.said("tool_result")
    assert (call["name"], call["arguments"]) == ("read", {"path": "a.txt"})
    assert (result["id"], result["failed"], result["text"]) == (call["id"], False, "hello from a.txt\nsecond line\n")
    assert ended.text("answer").startswith("The tool said: hello from a.txt")
    assert ended.said("usage")[-1]["turns"] == 2


def test_tools_that_pi_was_not_given_are_told_as_denials(tmp_path: Path) -> None:
    ended = transcript(tmp_path, "write")

    assert [one["text"] for one in ended.said("denial")] == [
        "refused: write, which is not among its tools",
        "refused: bash, which is not among its tools",
    ]
    assert all(one["failed"] for one in ended.said("tool_result"))


def test_two_turns_of_the_rpc_mode(tmp_path: Path) -> None:
    """Keeps D13: the usage of both turns adds up."""
    ended = replayed(tmp_path, "pi", FOLDER / "turns.jsonl", "And else?")

    assert ended.code == 0, ended.text("log")
    assert [one["failed"] for one in ended.said("tool_result")] == [False, True]
    assert [one["failed"] for one in ended.said("turn")] == [False, False]
    assert ended.text("answer") == "It says hello. It says hello. "
    assert ended.said("usage")[-1]["input_tokens"] == 80_000


@pytest.mark.parametrize(
    ("name", "told"), [("401", "401: "), ("429", "429"), ("500", "500"), ("cut", "terminated: other side closed")]
)
def test_a_failure_of_the_model_is_a_failure_although_pi_itself_leaves_in_order(
    tmp_path: Path, name: str, told: str
) -> None:
    ended = transcript(tmp_path, name)

    assert ended.code == 1
    assert told in ended.text("log")


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_field_of_another_type_ends_no_turn(odd: Any) -> None:
    stream = io.StringIO()
    events = Events(Telling(Voice(stream)))
    fields = ("assistantMessageEvent", "message", "toolCallId", "toolName", "args", "result", "errorMessage")
    for kind in KINDS:
        for field in fields:
            events.take({"type": kind, field: odd})
        events.take({"type": kind, "message": {"role": "assistant", "usage": odd, "stopReason": str(odd)}})
        events.take({"type": kind, "result": {"content": odd}, "isError": odd})
        events.take({"type": kind, "assistantMessageEvent": {"type": "text_delta", "delta": odd}})
    events.take({"type": "message_update", "assistantMessageEvent": {"type": "text_delta", "delta": "yes"}})

    assert json.loads(stream.getvalue().splitlines()[-1])["text"].strip() == "yes"
