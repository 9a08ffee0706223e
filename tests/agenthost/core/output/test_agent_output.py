import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.dialects.lines import MAX_LINE_BYTES
from agenthost.core.output.dialects.table import DIALECTS
from agenthost.core.output.frames import MAX_TEXT_BYTES, merge
from agenthost.core.output.report import (
    MAX_NAME_BYTES,
    Channel,
    Notice,
    NoticeKind,
    Output,
    Report,
    ToolCall,
    ToolResult,
    Usage,
)
from agenthost.core.output.revisions import FIRST, LATEST, Revisions
from agenthost.core.output.spool import INPUT_NUMBER, RecordKind
from agenthost.core.output.utf8 import fitting
from agenthost.shim.spool import pack

PLENTY = 10**9
KNOWN = "known-v4lue"
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3lM6"
LINES = [
    {"type": "answer", "text": "täxt"},
    {"type": "reasoning", "text": "why"},
    {"type": "log", "text": "\x00\x1b[0m"},
    {"type": "tool_call", "id": "1", "name": "read", "arguments": {"path": "a"}},
    {"type": "tool_result", "id": "1", "failed": True, "text": "no"},
    {"type": "usage", "input_tokens": 7},
    {"type": "usage", "output_tokens": 3, "turns": 1},
    {"type": "denial", "text": "no writing"},
    {"type": "final", "result": {"findings": []}},
    {"type": "unheard-of"},
    [1, 2],
]
SECRETIVE = [
    {"type": "answer", "text": f"it is {TOKEN[:15]}"},
    {"type": "log", "text": f"{KNOWN[:4]}"},
    {"type": "tool_call", "id": "1", "name": "read", "arguments": {"path": TOKEN, "line": f"\n{KNOWN}"}},
    {"type": "answer", "text": f"{TOKEN[15:]}, no more"},
    {"type": "log", "text": f"{KNOWN[4:]}!"},
    {"type": "tool_result", "id": "1", "failed": False, "text": f"x {TOKEN}"},
    {"type": "denial", "text": f"no {KNOWN}"},
    {"type": "reasoning", "text": f"{TOKEN[:9]}"},
    {"type": "final", "result": {"findings": [{"quote": f"a\n{TOKEN}\nb", "n": 1}]}},
]


def record(kind: RecordKind, payload: bytes) -> bytes:
    return pack(kind, payload)


def stdout(payload: bytes) -> bytes:
    return record(RecordKind.STDOUT, payload)


def parse(dialect: str, chunks: Iterable[bytes], max_answer_bytes: int = PLENTY) -> tuple[list[Report], Summary]:
    output = AgentOutput(dialect, max_answer_bytes, [KNOWN])
    said = [one for chunk in chunks for one in output.feed(chunk)]
    said += output.finish()
    return list(merge(said)), output.summary


def line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


raw_bytes = st.binary(max_size=40) | st.sampled_from(["ä€😀".encode(), b"\xf0\x9f", b"\n", b"\x00", b"\xff\xfe"])
secret_bytes = st.sampled_from(
    [TOKEN[:9].encode(), TOKEN[9:].encode(), TOKEN.encode(), KNOWN[:4].encode(), KNOWN.encode()]
)
json_bytes = st.sampled_from([line(message) for message in (*LINES, *SECRETIVE)]) | raw_bytes | secret_bytes
pieces = st.lists(
    st.tuples(st.sampled_from([RecordKind.STDOUT, RecordKind.STDOUT, RecordKind.STDERR]), json_bytes), max_size=12
)


@given(pieces, st.sampled_from(list(DIALECTS)), st.lists(st.integers(0, 800)), st.sampled_from([3, 11, PLENTY]))
def test_what_is_said_does_not_depend_on_how_the_spool_was_cut(
    parts: list[tuple[RecordKind, bytes]], dialect: str, cuts: list[int], room: int
) -> None:
    spool = b"".join(record(kind, payload) for kind, payload in parts)
    borders = sorted({0, len(spool), *(cut for cut in cuts if cut < len(spool))})
    chunks = [spool[start:end] for start, end in pairwise(borders)]

    assert parse(dialect, chunks, room) == parse(dialect, [spool], room)
    assert parse(dialect, [spool[i : i + 1] for i in range(len(spool))], room) == parse(dialect, [spool], room)


@given(st.binary(max_size=200), st.integers(1, 7))
def test_what_is_said_does_not_depend_on_how_the_shim_recorded_it(payload: bytes, size: int) -> None:
    """Invalid UTF-8 across borders included."""
    spool = b"".join(stdout(payload[start : start + size]) for start in range(0, len(payload), size))
    expected = [Output(Channel.ANSWER, payload.decode(errors="replace"))] if payload else []

    assert parse("text", [spool])[0] == expected


def test_json_lines_come_out_typed_and_in_order() -> None:
    """Keeps D7."""
    said, summary = parse("jsonl", [stdout(b"".join(line(message) for message in LINES))])

    assert said[:7] == [
        Output(Channel.ANSWER, "täxt"),
        Output(Channel.REASONING, "why"),
        Output(Channel.LOG, "\x00\x1b[0m"),
        ToolCall("1", "read", '{"path":"a"}'),
        ToolResult("1", failed=True, text="no"),
        Usage(7, 3, 1),
        Notice(NoticeKind.DENIAL, "no writing"),
    ]
    assert summary == Summary(
        has_answer=True,
        denial_count=1,
        malformed=("a line has no type that is known", "a line is not a JSON object"),
        usage=Usage(7, 3, 1),
        result_json='{"findings":[]}',
        last_input=0,
    )


@pytest.mark.parametrize(
    ("message", "field", "wanted"),
    [
        ({"type": "answer"}, "text", "a string"),
        ({"type": "log", "text": ["x"]}, "text", "a string"),
        ({"type": "tool_result", "text": None}, "text", "a string"),
        ({"type": "usage", "input_tokens": -1}, "input_tokens", "a whole number from 0"),
        ({"type": "usage", "turns": 1.5}, "turns", "a whole number from 0"),
        ({"type": "final", "result": [1]}, "result", "an object"),
        ({"type": "final", "result": {"x": "x" * 1024 * 1024}}, "result", "an object of at most 1048576 bytes"),
        ({"type": "turn", "failed": "yes"}, "failed", "true or false"),
    ],
)
def test_a_wrong_field_is_named_once_and_kept_for_the_attempt_s_end(
    message: dict[str, object], field: str, wanted: str
) -> None:
    said, summary = parse("jsonl", [stdout(2 * line(message))])
    told = [one.text for one in said if isinstance(one, Notice)]
    text = f"a line of type {message['type']} cannot be read: its field {field} must be {wanted}"

    assert len(told) == len(summary.malformed) == 1
    assert told[0].startswith(text)
    assert told[0] == f"{summary.malformed[0]}; such lines are kept as log"


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it(dialect: str) -> None:
    text = {"text": b"Done.", "jsonl": line({"type": "answer", "text": "Done."})}.get(dialect) or line(
        {"type": "assistant", "message": {"content": "Done."}}
    )
    spool = stdout(b"\xef\xbb\xbf" + text)

    for chunks in ([spool], [spool[at : at + 1] for at in range(len(spool))]):
        said, summary = parse(dialect, chunks)
        assert [one.text for one in said if isinstance(one, Output) and one.channel is not Channel.LOG] == ["Done."]
        assert not summary.malformed
    first = AgentOutput(dialect, PLENTY, [], FIRST)
    assert "\ufeff" in "".join(one.text for one in [*first.feed(spool), *first.finish()] if isinstance(one, Output))


def test_secrets_are_masked_in_everything_that_is_said() -> None:
    """Keeps E10: in every channel, over the borders of sayings, in tools' arguments and results, and in the result."""
    said, summary = parse("jsonl", [stdout(b"".join(line(message) for message in SECRETIVE))])

    masked = "ghp_[redacted:github-token]"
    assert said == [
        Output(Channel.ANSWER, "it is ghp_"),
        ToolCall("1", "read", f'{{"path":"{masked}","line":"\\n[redacted:secret]"}}'),
        Output(Channel.ANSWER, "[redacted:github-token], no more"),
        Output(Channel.LOG, "[redacted:secret]!"),
        ToolResult("1", failed=False, text=f"x {masked}"),
        Notice(NoticeKind.DENIAL, "no [redacted:secret]"),
        Output(Channel.REASONING, TOKEN[:9]),
    ]
    assert json.loads(summary.result_json) == {"findings": [{"quote": f"a\n{masked}\nb", "n": 1}]}


def test_a_limit_cuts_what_is_masked_already() -> None:
    """Keeps E10: cut first, the beginning of a token would be no token any more."""
    result = {"type": "tool_result", "id": "1", "failed": False, "text": "x" * 65_529 + " " + TOKEN}

    assert parse("jsonl", [stdout(line(result))])[0] == [ToolResult("1", failed=False, text="x" * 65_529 + " ghp_[r")]


STRADDLING = "n" * 240 + " " + TOKEN
NAMED: dict[str, list[object]] = {
    "jsonl": [
        {"type": "tool_call", "id": STRADDLING, "name": STRADDLING, "arguments": {KNOWN: 48151623}},
        {"type": "tool_result", "id": STRADDLING, "failed": False, "text": ""},
    ],
    "stream-json": [
        {
            "type": "assistant",
            "message": {
                "content": [{"type": "tool_use", "id": STRADDLING, "name": STRADDLING, "input": {KNOWN: 48151623}}]
            },
        },
        {
            "type": "user",
            "message": {"content": [{"type": "tool_result", "tool_use_id": STRADDLING, "content": ""}]},
        },
    ],
}


def named_by(dialect: str, revisions: Revisions) -> list[Report]:
    spool = stdout(b"".join(line(message) for message in NAMED[dialect]))
    output = AgentOutput(dialect, PLENTY, [KNOWN, "48151623"], revisions)
    return [*output.feed(spool), *output.finish()]


def test_secrets_are_masked_in_names_ids_and_numbers_before_their_limit_cuts_them() -> None:
    """Keeps E10 for every dialect with tools."""
    name = fitting(f"{'n' * 240} ghp_[redacted:github-token]", MAX_NAME_BYTES)
    assert NAMED.keys() == DIALECTS.keys() - {"text"}
    for dialect in NAMED:
        assert named_by(dialect, LATEST) == [
            ToolCall(name, name, '{"[redacted:secret]":"[redacted:secret]"}'),
            ToolResult(name, failed=False, text=""),
        ]


def test_an_attempt_of_the_first_revision_is_masked_as_it_was() -> None:
    """Keeps I2 K7: frames that were sent before an upgrade are made again byte for byte."""
    cut = STRADDLING[:MAX_NAME_BYTES]
    for dialect in NAMED:
        assert named_by(dialect, FIRST) == [
            ToolCall(cut, cut, '{"[redacted:secret]":48151623}'),
            ToolResult(cut, failed=False, text=""),
        ]


def test_text_keeps_stdout_as_answer_and_stderr_as_log() -> None:
    said, _ = parse("text", [stdout(b"a") + record(RecordKind.STDERR, b"b") + stdout(b"c")])

    assert said == [Output(Channel.ANSWER, "a"), Output(Channel.LOG, "b"), Output(Channel.ANSWER, "c")]


@pytest.mark.parametrize(
    "bad",
    [
        b"plain words\n",
        b"[" * 100_000 + b"\n",
        b'{"type":"usage","input_tokens":-1}\n',
        b'{"type":"usage","input_tokens":' + b"9" * 6000 + b"}\n",
        b'{"type":"usage","input_tokens":true}\n',
        b'{"type":"answer","text":NaN}\n',
        b'{"type":"answer"}\n',
        b'{"type":["answer"]}\n',
        b'{"type":"final","result":3}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_line_that_is_not_ours_is_kept_as_log_after_one_notice(bad: bytes) -> None:
    said, summary = parse("jsonl", [stdout(bad * 2)])

    assert isinstance(said[0], Notice)
    assert said[0].kind is NoticeKind.MALFORMED_OUTPUT
    assert [type(one) for one in said].count(Notice) == 1
    assert "".join(one.text for one in said if isinstance(one, Output)) == (bad * 2).decode(errors="replace")
    assert not summary.has_answer


def test_a_line_above_a_mebibyte_is_passed_on_as_log() -> None:
    long = b'{"type":"answer","text":"' + b"x" * MAX_LINE_BYTES + b'"}'
    said, _ = parse("jsonl", [stdout(long + b"\n"), stdout(line(LINES[0]))])

    assert isinstance(said[0], Notice)
    assert (
        "".join(one.text for one in said if isinstance(one, Output) and one.channel is Channel.LOG)
        == f"{long.decode()}\n"
    )
    assert said[-1] == Output(Channel.ANSWER, "täxt")


def test_a_lone_surrogate_in_json_becomes_a_replacement_character() -> None:
    said, summary = parse(
        "jsonl",
        [stdout(b'{"type":"answer","text":"a\\ud800b"}\n{"type":"final","result":{"\\udfff":"\\ud83d\\ude00"}}\n')],
    )

    assert said == [Output(Channel.ANSWER, "a\ufffdb")]
    assert summary.result_json == '{"\ufffd":"\U0001f600"}'


def test_an_answer_is_cut_at_its_limit_on_a_characters_border() -> None:
    """Keeps D5."""
    said, summary = parse("text", [stdout("ääää".encode()), stdout(b"x")], max_answer_bytes=5)

    assert said[0] == Output(Channel.ANSWER, "ää")
    assert isinstance(said[1], Notice)
    assert said[1].kind is NoticeKind.ANSWER_TRUNCATED
    assert len(said) == 2
    assert summary.answer_truncated
    assert summary.answer_note == said[1].text


def test_an_agent_says_why_its_answer_is_not_whole_and_goes_on() -> None:
    """Keeps D5: a cut that only the agent knows of."""
    lines = b'{"type":"answer","text":"a"}\n{"type":"cut","text":"it repeated itself"}\n{"type":"answer","text":"b"}\n'
    said, summary = parse("jsonl", [stdout(lines)])

    assert said[1] == Notice(NoticeKind.ANSWER_TRUNCATED, "it repeated itself")
    assert said[2] == Output(Channel.ANSWER, "b")
    assert (summary.answer_note, summary.answer_truncated) == ("it repeated itself", False)


def test_an_answer_of_exactly_the_limit_is_whole() -> None:
    said, summary = parse("text", [stdout(b"12345")], max_answer_bytes=5)

    assert said == [Output(Channel.ANSWER, "12345")]
    assert not summary.answer_truncated


def test_blank_output_is_no_answer() -> None:
    """Keeps D5."""
    assert not parse("text", [stdout(b" \n\t"), stdout(b"\n")])[1].has_answer


def test_inputs_are_counted_and_say_nothing() -> None:
    spool = record(RecordKind.INPUT, INPUT_NUMBER.pack(4) + b"go on")

    said, summary = parse("text", [spool[:7], spool[7:]])
    assert said == []
    assert summary.last_input == 4


@given(st.integers(1, 3))
def test_no_frame_is_above_its_limit_and_nothing_is_lost(width: int) -> None:
    text = "xäß€"[width] * (MAX_TEXT_BYTES + 17)
    frames = list(merge([Output(Channel.ANSWER, text[:1000]), Output(Channel.ANSWER, text[1000:])]))

    assert all(isinstance(frame, Output) and len(frame.text.encode()) <= MAX_TEXT_BYTES for frame in frames)
    assert "".join(frame.text for frame in frames if isinstance(frame, Output)) == text
