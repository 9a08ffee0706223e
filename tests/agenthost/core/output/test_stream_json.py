"""The dialect stream-json, over what the real claude and qwen printed (`transcripts`). Keeps D7."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.output.dialects import stream_json
from agenthost.core.output.dialects.stream_json import read_stream_json
from agenthost.core.output.frames import merge
from agenthost.core.output.report import (
    AnswerVoid,
    Channel,
    Notice,
    NoticeKind,
    Output,
    Parsed,
    Report,
    ToolCall,
    ToolResult,
    TurnEnd,
    Usage,
)
from agenthost.core.output.revisions import FIRST

FOLDER = Path(__file__).parent / "transcripts"
TRANSCRIPTS = sorted(FOLDER.glob("*.jsonl"))
WORDS = "".join(f"tok{number} " for number in range(40))


def read(data: bytes, size: int = 10**9) -> list[Report]:
    """Returns what the dialect makes of the bytes, cut into pieces of a size; the ends of turns have a test of their own."""
    reader = read_stream_json()
    parsed: list[Parsed] = []
    for start in range(0, len(data), size):
        parsed += reader.feed(data[start : start + size])
    parsed += reader.finish()
    return list(merge(one for one in parsed if not isinstance(one, TurnEnd)))  # type: ignore[misc]  # no results either


def transcript(name: str) -> list[Report]:
    return read((FOLDER / f"{name}.jsonl").read_bytes())


def lines(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def delta(text: str, **fields: Any) -> dict[str, Any]:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return {"type": "stream_event", "parent_tool_use_id": None, "event": event, **fields}


def whole(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "assistant", "parent_tool_use_id": None, "message": {"content": list(blocks)}, **fields}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


RETRY = {"type": "system", "subtype": "api_retry", "error_status": 429}


def answer(reports: list[Report]) -> str:
    return "".join(one.text for one in reports if isinstance(one, Output) and one.channel is Channel.ANSWER)


def log(reports: list[Report]) -> str:
    return "".join(one.text for one in reports if isinstance(one, Output) and one.channel is Channel.LOG)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_says_the_same_however_it_is_cut(path: Path) -> None:
    data = path.read_bytes()
    expected = read(data)

    assert len(TRANSCRIPTS) == 12
    assert [size for size in (1, 2, 3, 7, 61, 4096) if read(data, size) != expected] == []


def test_a_stream_cut_at_any_byte_says_a_beginning_of_what_the_whole_says() -> None:
    data = (FOLDER / "claude-cut.jsonl").read_bytes()
    reader = read_stream_json()
    told = ""
    for at in range(len(data)):
        told += "".join(one.text for one in reader.feed(data[at : at + 1]) if isinstance(one, Output))

    assert told == "".join(one.text for one in read(data) if isinstance(one, Output))


def test_tokens_tools_and_usage_of_claude_come_in_order() -> None:
    assert transcript("claude-read") == [
        ToolCall("call_0", "Read", '{"file_path":"/workspace/README.md"}'),
        ToolResult("call_0", failed=False, text="1\t# Hello\n2\t\n3\tA line to quote.\n4\t"),
        Output(Channel.ANSWER, "It says hello. "),
        Usage(2_000, 40, 2),
    ]


def test_tokens_tools_and_usage_of_qwen_come_in_order() -> None:
    assert transcript("qwen-read") == [
        ToolCall("call_1", "read_file", '{"file_path":"/workspace/a.txt"}'),
        ToolResult("call_1", failed=False, text="hello from a.txt\nsecond line\n"),
        Output(Channel.ANSWER, "The tool said: hello from a.txt\nsecond line\n "),
        Usage(22, 44, 2),
    ]


def test_tokens_are_told_as_they_come() -> None:
    reader = read_stream_json()

    assert [list(reader.feed(lines(delta(text)))) for text in ("one ", "two")] == [
        [Output(Channel.ANSWER, "one ")],
        [Output(Channel.ANSWER, "two")],
    ]


def test_what_qwen_was_refused_is_told_as_denials() -> None:
    denials = [one.text for one in transcript("qwen-write") if isinstance(one, Notice)]

    assert denials[0] == 'refused: write_file {"file_path":"/workspace/PWNED.txt","content":"x"}'
    assert denials[1].startswith("refused: run_shell_command")


def test_a_tool_that_claude_does_not_have_is_a_failed_result() -> None:
    results = [one for one in transcript("claude-write") if isinstance(one, ToolResult)]

    assert [(one.id, one.failed) for one in results] == [("call_0", True), ("call_1", True)]


@pytest.mark.parametrize(("agent", "text"), [("claude", WORDS), ("qwen", WORDS[: WORDS.index("tok6")])])
def test_what_was_streamed_of_a_message_that_is_sent_again_is_not_doubled(agent: str, text: str) -> None:
    assert answer(transcript(f"{agent}-cut")) == text


@pytest.mark.parametrize("agent", ["claude", "qwen"])
def test_an_error_of_the_model_is_log_and_no_answer(agent: str) -> None:
    said = transcript(f"{agent}-401")

    assert answer(said) == ""
    assert "API Error: 401 stub error" in log(said)


def test_another_answer_after_a_broken_one_is_told_whole_after_an_empty_line() -> None:
    said = read(
        lines(delta("It is "), delta("red."), RETRY, delta("It is blue"), delta(", I think."), whole(words("x")))
    )

    assert answer(said) == "It is red.\n\nIt is blue, I think."
    assert answer(said[said.index(AnswerVoid()) :]) == "It is blue, I think."


def test_a_repeated_message_goes_on_where_the_first_broke_off() -> None:
    said = read(lines(delta("It is "), RETRY, delta("It"), delta(" is re"), delta("d.")))

    assert answer(said) == "It is red."
    assert AnswerVoid() not in said
    assert log(said) == "the agent sends its request again (429)\n"


def test_a_message_too_long_to_be_known_again_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_json, "MAX_KEPT", 5)

    assert answer(read(lines(delta("123"), delta("456"), RETRY, delta("123456")))) == "123456\n\n123456"


def test_messages_are_set_apart_and_those_not_streamed_are_told_whole() -> None:
    said = read(lines(whole(words("First.")), whole({"type": "thinking", "thinking": "Hm."}, words("Then."))))

    assert said == [
        Output(Channel.ANSWER, "First."),
        Output(Channel.REASONING, "Hm."),
        Output(Channel.ANSWER, "\n\nThen."),
    ]


def test_a_sub_agents_words_are_no_answer() -> None:
    said = read(lines(delta("psst", parent_tool_use_id="t"), whole(words("psst"), parent_tool_use_id="t")))

    assert said == [Output(Channel.REASONING, "psst\n")]


def test_a_result_that_nothing_told_before_is_the_answer() -> None:
    result = {"type": "result", "is_error": False, "result": "Done.", "usage": {}, "num_turns": 1}

    assert read(lines(result)) == [Output(Channel.ANSWER, "Done."), Usage(None, None, 1)]


@pytest.mark.parametrize(
    "strange",
    [
        {"type": "stream_event", "event": {"type": "content_block_delta", "delta": [7]}},
        {"type": "assistant", "message": {"content": [7, {"type": "text"}, {"type": "text", "text": None}]}},
        {"type": "system", "subtype": ["retry"]},
    ],
)
def test_fields_of_another_form_say_nothing(strange: dict[str, Any]) -> None:
    assert read(lines(strange)) == []


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "stream_event"}, "event"),
        ({"type": "stream_event", "event": {"type": "content_block_delta", "delta": {"text": 7}}}, "event.delta.text"),
        ({"type": "assistant", "message": "Done."}, "message"),
        ({"type": "assistant", "message": {"text": "Done."}}, "message.content"),
        (
            {"type": "assistant", "message": {"content": [{"type": "text", "text": ["Done."]}]}},
            "message.content[].text",
        ),
        ({"type": "user", "message": []}, "message"),
        ({"type": "result", "result": {"text": "Done."}}, "result"),
    ],
)
def test_a_field_that_cannot_be_read_is_named_and_its_line_is_log(message: dict[str, Any], field: str) -> None:
    told, kept = read(lines(message))

    assert isinstance(told, Notice)
    assert f"a line of type {message['type']} cannot be read: its field {field} must be" in told.text
    assert kept == Output(Channel.LOG, lines(message).decode())


def test_the_first_line_may_begin_with_a_byte_order_mark() -> None:
    assert read(b"\xef\xbb\xbf" + lines(whole(words("Done.")))) == [Output(Channel.ANSWER, "Done.")]


def test_lines_of_no_known_type_become_log_after_one_notice() -> None:
    said = read(b'warning: old config\n{"type":"new_thing"}\n')

    assert [one.kind for one in said if isinstance(one, Notice)] == [NoticeKind.MALFORMED_OUTPUT] * 2
    assert log(said) == 'warning: old config\n{"type":"new_thing"}\n'


def test_a_request_that_is_sent_again_and_again_costs_little() -> None:
    """An agent could stall its host with lines of 36 bytes, if each joined all that was told before."""
    told = lines(delta("xy")) * 100_000
    reader = read_stream_json()
    for _ in reader.feed(told):
        pass
    again = b'{"type":"system","subtype":"retry"}\n' * 5_000

    began = time.process_time()
    count = sum(1 for _ in reader.feed(again))

    assert count == 5_000
    assert time.process_time() - began < 2.0  # it was 5 s and more


@pytest.mark.parametrize("agent", ["claude", "qwen"])
def test_two_turns_of_a_process_are_told_apart_and_their_usage_adds_up(agent: str) -> None:
    """Keeps D13. claude counts each turn by itself, qwen both together."""
    data = (FOLDER / f"{agent}-turns.jsonl").read_bytes()
    told = [one for one in read_stream_json().feed(data) if not isinstance(one, Output)]

    assert told == [Usage(1_000, 20, 1), TurnEnd(), Usage(2_000, 40, 2), TurnEnd()]
    assert answer(read(data)) == "The first answer. " * 2


def test_a_turn_that_told_its_text_only_at_its_end_is_told_whole_in_every_turn() -> None:
    result = {"type": "result", "is_error": False, "result": "text"}
    said = [one for one in read_stream_json().feed(lines(result, result)) if not isinstance(one, Usage)]

    assert said == [Output(Channel.ANSWER, "text"), TurnEnd(), Output(Channel.ANSWER, "text"), TurnEnd()]


def test_the_first_revision_knows_no_turns() -> None:
    """Keeps I2 K7: an attempt that it was read with keeps the numbers of its frames."""
    result = {"type": "result", "is_error": False, "result": "text", "num_turns": 1}
    said = list(read_stream_json(FIRST.parser).feed(lines(result, result)))

    assert said == [Output(Channel.ANSWER, "text"), Usage(turns=1), Usage(turns=1)]
