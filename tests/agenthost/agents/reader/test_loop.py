"""The loop asks, reads and answers; it ends with every kind of model. Keeps B5."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agenthost.agents.reader.chat import REPEATS, ModelError, Reply
from agenthost.agents.reader.files import Files
from agenthost.agents.reader.loop import ANSWER_NOW, BROKEN_CALL, Loop
from agenthost.agents.reader.speech import Speech
from agenthost.agents.reader.tools import tools_over
from agenthost.agents.reader.window import Window
from agenthost.agents.voice import Voice


class Model:
    """A model that replies what it is told to, and remembers what it was sent."""

    def __init__(self, speech: Speech, *replies: Reply | ModelError) -> None:
        self._speech, self._replies = speech, list(replies)
        self.refused: set[str] = set()
        self.sent: list[Sequence[Mapping[str, Any]]] = []
        self.wanted: list[Mapping[str, Any]] = []

    def ask(self, messages: Sequence[Mapping[str, Any]], **wanted: Any) -> Reply:
        self.sent.append(messages)
        self.wanted.append(wanted)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, ModelError):
            raise reply
        self._speech.feed(reply.text)
        return reply


class Bench:
    def __init__(self, root: Path, *replies: Reply | ModelError, window: int = 8_192) -> None:
        self.output = io.StringIO()
        voice = Voice(self.output)
        speech = Speech(voice)
        self.model = Model(speech, *replies)
        self.loop = Loop(self.model, tools_over(Files(root)), voice, speech, Window(window))

    def said(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["type"] == kind]

    @property
    def answer(self) -> str:
        return "".join(line["text"] for line in self.said("answer"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("x = 1\n")
    return tmp_path


def call(name: str, **arguments: Any) -> Reply:
    return Reply(
        calls=[{"id": "c", "name": name, "arguments": json.dumps(arguments)}], input_tokens=900, output_tokens=9
    )


def written(name: str, **arguments: Any) -> Reply:
    return Reply(f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>")


def test_a_native_call_is_run_and_its_result_sent_back(root: Path) -> None:
    bench = Bench(root, call("read_file", path="a.py"), Reply("x is 1, a.py:1"))

    assert bench.loop.run("what is x?") == "x is 1, a.py:1"
    assert bench.model.sent[1][-1]["role"] == "tool"
    assert bench.model.wanted[0]["max_tokens"] == 2_048
    assert "1| x = 1" in bench.model.sent[1][-1]["content"]
    assert [one["name"] for one in bench.said("tool_call")] == ["read_file"]
    assert bench.said("usage")[-1] == {"type": "usage", "input_tokens": 900, "output_tokens": 9, "turns": 2}


def test_a_written_call_is_run_and_is_no_part_of_the_answer(root: Path) -> None:
    bench = Bench(root, written("read_file", path="a.py"), Reply("x is 1"))
    bench.loop.run("what is x?")

    assert bench.answer == "x is 1"
    assert bench.model.sent[1][-1]["content"].startswith("Result of read_file:")
    assert "is_result" not in bench.model.sent[1][-1]


def test_what_goes_wrong_in_a_tool_is_told_to_the_model(root: Path) -> None:
    bench = Bench(root, call("read_file", path="none"), call("write_file", path="a.py"), Reply("done"))
    bench.loop.run("?")

    assert "there is no none" in bench.model.sent[1][-1]["content"]
    assert "there is no tool write_file" in bench.model.sent[2][-1]["content"]
    assert [one["failed"] for one in bench.said("tool_result")] == [True, True]


def test_a_model_that_repeats_itself_is_told_and_then_asked_to_answer(root: Path) -> None:
    bench = Bench(root, *[call("read_file", path="a.py")] * 4, Reply("x is 1"))

    assert bench.loop.run("?") == "x is 1"
    assert "2 times" in bench.model.sent[2][-1]["content"]
    assert bench.model.sent[-1][-1]["content"] == ANSWER_NOW
    assert "tools" not in bench.model.wanted[-1]


def test_a_model_that_never_answers_comes_to_an_end(root: Path) -> None:
    bench = Bench(root, *[call("search", pattern=str(number)) for number in range(60)], Reply("enough"))
    bench.loop.max_turns = 5
    bench.loop.run("?")

    assert bench.loop.turns == 7  # with the two requests for an answer


def test_an_empty_reply_is_asked_for_once_more(root: Path) -> None:
    bench = Bench(root, Reply(""), Reply("here"))

    assert bench.loop.run("?") == "here"


def test_a_context_that_is_smaller_than_said_is_found_out(root: Path) -> None:
    overflow = ModelError("the request exceeds the available context size", 400, is_overflow=True)
    (root / "long.txt").write_text("line\n" * 5_000)
    bench = Bench(root, call("read_file", path="long.txt"), overflow, overflow, Reply("fits"), window=32_768)

    assert bench.loop.run("?") == "fits"
    assert bench.loop.window.tokens == 8_192


def test_a_server_that_cut_the_prompt_is_an_error_and_no_answer(root: Path) -> None:
    bench = Bench(root, Reply("nonsense", input_tokens=500), window=100_000)

    with pytest.raises(ModelError, match="read 500 tokens"):
        bench.loop.run("x" * 40_000)


def test_a_refusal_of_the_endpoint_is_passed_on(root: Path) -> None:
    with pytest.raises(ModelError, match="HTTP 401"):
        Bench(root, ModelError("the model refused the request with HTTP 401: no", 401)).loop.run("?")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_words_come_as_they_are_said_and_a_tag_in_the_middle_ends_them(size: int) -> None:
    output = io.StringIO()
    speech = Speech(Voice(output))
    text = 'I look a < b.\n<tool_call>{"name": "x"}</tool_call>'
    speech.begin()
    for start in range(0, len(text), size):
        speech.feed(text[start : start + size])
    speech.end(is_call=True)

    assert "".join(json.loads(line)["text"] for line in output.getvalue().splitlines()) == "I look a < b.\n"


def test_a_call_that_cannot_be_read_is_asked_for_again_and_held_to_a_form(root: Path) -> None:
    """Keeps B5: the broken words are no part of the answer."""
    broken = Reply('<tool_call>{"name": "read_file", "arguments": {"path" "a.py"</tool_call>')
    bench = Bench(
        root,
        broken,
        Reply('{"tool": "read_file", "arguments": {"path": "a.py"}}'),
        Reply('{"tool": "answer"}'),
        Reply("x is 1"),
    )

    assert bench.loop.run("?") == "x is 1"
    assert bench.answer == "x is 1"
    assert bench.model.sent[1][-1]["content"] == BROKEN_CALL
    assert "tools" in bench.model.wanted[0]
    form = bench.model.wanted[1]["response_format"]["json_schema"]["schema"]
    assert {one["properties"]["tool"]["const"] for one in form["oneOf"]} == {*tools_over(Files(root)), "answer"}
    assert [one["name"] for one in bench.said("tool_call")] == ["read_file"]
    assert not {"tools", "response_format"} & bench.model.wanted[-1].keys()


def test_a_model_that_writes_nothing_but_broken_calls_is_asked_to_answer(root: Path) -> None:
    bench = Bench(root, *[Reply('{"name": "search", "arguments": {"pattern": nothing')] * 2, Reply("enough"))

    assert bench.loop.run("?") == "enough"
    assert bench.answer == "enough"
    assert bench.model.sent[-1][-1]["content"] == ANSWER_NOW


def test_a_server_that_takes_no_tools_is_asked_for_actions(root: Path) -> None:
    bench = Bench(
        root,
        Reply('{"tool": "read_file", "arguments": {"path": "a.py"}}'),
        Reply('{"tool": "answer"}'),
        Reply("x is 1"),
    )
    bench.model.refused.add("tools")

    assert bench.loop.run("?") == "x is 1"
    assert "response_format" in bench.model.wanted[0]


def test_a_flow_may_ask_for_actions_and_the_model_is_told_of_them(root: Path) -> None:
    bench = Bench(root, Reply('{"tool": "answer"}'), Reply("nothing to see"))
    bench.loop.by_actions = True

    assert bench.loop.run("?") == "nothing to see"
    assert '{"tool": "answer"}' in bench.model.sent[0][0]["content"]


def test_a_call_in_the_place_of_the_answer_is_none_and_is_asked_about_once(root: Path) -> None:
    """A small model goes on calling: what it says then must not be shown as its answer."""
    calling = Reply('{"tool": "search", "arguments": {"pattern": "x"}}')
    bench = Bench(root, Reply('{"tool": "answer"}'), calling, Reply("x is 1"))
    stubborn = Bench(root, Reply('{"tool": "answer"}'), calling)
    for one in (bench, stubborn):
        one.loop.by_actions = True

    assert (bench.loop.run("?"), bench.answer) == ("x is 1", "x is 1")
    assert (stubborn.loop.run("?"), stubborn.answer) == ("", "")
    assert '{"tool": "answer"}' not in bench.model.sent[1][0]["content"]


def test_json_about_other_things_is_an_answer(root: Path) -> None:
    bench = Bench(root, Reply('{"findings": [{"name": "x"}]}'))

    assert bench.loop.run("?") == '{"findings": [{"name": "x"}]}'


def test_a_second_question_goes_on_in_the_same_conversation(root: Path) -> None:
    """Keeps D13: what was asked, read and answered is before the model, and each question may use as many requests."""
    reading = call("read_file", path="a.py")
    bench = Bench(root, reading, Reply("x is 1."), reading, reading, Reply("As I said."))
    bench.loop.max_turns = 3

    assert [bench.loop.run("What is x?"), bench.loop.run("Are you sure?")] == ["x is 1.", "As I said."]
    told = [(message["role"], message["content"]) for message in bench.model.sent[-1] if message["content"]]
    assert [role for role, _ in told] == ["system", "user", "tool", "assistant", "user", "tool", "tool"]
    assert (told[1][1], told[3][1], told[4][1]) == ("What is x?", "x is 1.", "Are you sure?")
    assert "do not call it again" not in told[5][1]
    assert bench.answer == "x is 1.As I said."
    assert bench.said("usage")[-1]["turns"] == 5


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        ((Reply("It is", finish_reason=REPEATS),), "the model repeated itself, and was read no further"),
        ((Reply("It is", finish_reason="length"),), "the model's reply reached its limit of tokens, and the rest is missing"),
        ((call("read_file", path="a.py"),) * 4 + (Reply("1"),), "the search was ended: the model repeated the same calls"),
        ((call("read_file", path="a.py"), call("list_files"), Reply("1")), "the search was ended after 2 requests to the model"),
        ((Reply("It is 1."),), ""),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_whole_says_why(root: Path, replies: Sequence[Reply], told: str) -> None:
    """Keeps B5: what ends early, and what it ends for, is no matter of the log alone."""
    bench = Bench(root, *replies)
    bench.loop.max_turns = 2 if "2 requests" in told else 40

    assert bench.loop.run("what is x?")
    assert [one["text"] for one in bench.said("cut")] == ([told] if told else [])


def test_a_question_that_does_not_fit_is_told_once_and_the_next_one_starts_afresh(root: Path) -> None:
    bench = Bench(root, call("list_files"), Reply("1"), Reply("2"), window=2_048)
    bench.loop.run("x" * 40_000)
    bench.loop._messages.clear()
    bench.loop.run("what is x?")

    told = [one["text"] for one in bench.said("cut")]
    assert told == ["a part of the prompt did not fit into the model's context, and was left out"]
