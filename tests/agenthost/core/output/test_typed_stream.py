"""Whatever an agent prints between them, its typed reports come out in order, with their ids, and nothing is lost. Keeps D7."""

import json
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agenthost.core.output.agent_output import AgentOutput
from agenthost.core.output.dialects.lines import MAX_LINE_BYTES
from agenthost.core.output.dialects.table import DIALECTS
from agenthost.core.output.report import Channel, Notice, NoticeKind, Output, Report, ToolCall, ToolResult
from agenthost.core.output.spool import RecordKind
from agenthost.shim.spool import pack

PLENTY = 10**9
CHUNK = 64 * 1024
LONG = 10 * 1024 * 1024

Spelling = Callable[[Report], object]


def spell_jsonl(report: Report) -> object:
    match report:
        case Output(channel=channel, text=text):
            return {"type": str(channel), "text": text}
        case ToolCall(id=call, name=name, arguments=arguments):
            return {"type": "tool_call", "id": call, "name": name, "arguments": json.loads(arguments)}
        case ToolResult(id=call, failed=failed, text=text):
            return {"type": "tool_result", "id": call, "failed": failed, "text": text}
        case _:
            raise AssertionError(report)


def spell_stream_json(report: Report) -> object:
    match report:
        case Output(channel=channel, text=text):
            kind = "text" if channel is Channel.ANSWER else "thinking"
            return {"type": "stream_event", "event": {"type": "content_block_delta", "delta": {kind: text}}}
        case ToolCall(id=call, name=name, arguments=arguments):
            block = {"type": "tool_use", "id": call, "name": name, "input": json.loads(arguments)}
            return {"type": "assistant", "message": {"content": [block]}}
        case ToolResult(id=call, failed=failed, text=text):
            block = {"type": "tool_result", "tool_use_id": call, "is_error": failed, "content": text}
            return {"type": "user", "message": {"content": [block]}}
        case _:
            raise AssertionError(report)


SPELLINGS: dict[str, Spelling] = {"jsonl": spell_jsonl, "stream-json": spell_stream_json}
WORDS = st.text("abcdefé☃ \x1b[31m\t", min_size=1, max_size=12).map(lambda text: f"<{text}>")
REPORTS = st.one_of(
    st.builds(Output, st.sampled_from([Channel.ANSWER, Channel.REASONING]), WORDS),
    st.builds(
        ToolCall,
        WORDS,
        WORDS,
        WORDS.map(lambda text: json.dumps({"path": text}, ensure_ascii=False, separators=(",", ":"))),
    ),
    st.builds(ToolResult, WORDS, st.booleans(), WORDS),
)
# What no dialect knows: plain words, colours, halves of characters and of objects, types of tomorrow.
JUNK = st.sampled_from(
    [
        b"Loading\xe2\x80\xa6",
        b"\x1b[2K\x1b[31mred\x1b[0m\r",
        b"\xff\xfe\x80 \xf0\x9f",
        b'{"type": "answer", "text": "cut',
        b'{"type": "of_tomorrow", "text": "x"}',
        b'["type"]',
        b"{" * 5000,
        b'{"type": null}',
        b"\x00\x07",
    ]
)
LINES = st.lists(REPORTS | JUNK, max_size=12)


def read(dialect: str, chunks: Iterable[bytes]) -> list[Report]:
    output = AgentOutput(dialect, PLENTY)
    found = [report for chunk in chunks for report in output.feed(pack(RecordKind.STDOUT, chunk))]
    return [*found, *output.finish()]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(borders)]


def typed(reports: Iterable[Report]) -> list[Report]:
    """Returns the reports without log, notices and the empty lines that a dialect puts between messages; texts are joined."""
    found: list[Report] = []
    for report in reports:
        if isinstance(report, Notice) or (isinstance(report, Output) and report.channel is Channel.LOG):
            continue
        last = found[-1] if found else None
        if isinstance(report, Output) and isinstance(last, Output) and last.channel is report.channel:
            found[-1] = Output(last.channel, last.text + report.text.lstrip("\n"))
        else:
            found.append(Output(report.channel, report.text.lstrip("\n")) if isinstance(report, Output) else report)
    return found


def logged(reports: Iterable[Report]) -> str:
    return "".join(one.text for one in reports if isinstance(one, Output) and one.channel is Channel.LOG)


@pytest.mark.parametrize("dialect", SPELLINGS)
def test_every_report_comes_out_in_order_with_its_id_whatever_stands_between_the_lines(dialect: str) -> None:
    @given(LINES, st.lists(st.integers(0, 100_000), max_size=8), st.booleans())
    def check(lines: list[Report | bytes], cuts: list[int], has_end: bool) -> None:  # noqa: FBT001 - drawn
        spelt = [
            line if isinstance(line, bytes) else json.dumps(SPELLINGS[dialect](line), ensure_ascii=False).encode()
            for line in lines
        ]
        data = b"\n".join(spelt) + (b"\n" if has_end and spelt else b"")
        found = read(dialect, cut(data, cuts))

        assert typed(found) == typed(line for line in lines if not isinstance(line, bytes))
        junk = [line for line in lines if isinstance(line, bytes)]
        assert logged(found).rstrip("\n") == "\n".join(line.decode(errors="replace") for line in junk)
        notices = [one for one in found if isinstance(one, Notice)]
        assert len(notices) == len({one.text for one in notices})  # each kind of fault is told once
        assert {one.kind for one in notices} <= {NoticeKind.MALFORMED_OUTPUT}

    check()


def test_each_dialect_is_tried_here() -> None:
    assert {*SPELLINGS, "text"} == DIALECTS.keys()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
@example(b"\xef", [])
@example(b"\xef\xbb", [1])
def test_plain_text_is_the_answer_whatever_bytes_it_holds_and_however_they_come(data: bytes, cuts: list[int]) -> None:
    found = read("text", cut(data, cuts))

    assert "".join(one.text for one in found if isinstance(one, Output)) == data.decode(errors="replace")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_line_of_ten_megabytes_is_passed_on_as_it_comes_and_the_next_line_counts(dialect: str) -> None:
    output = AgentOutput(dialect, PLENTY)
    long = b'{"type": "answer", "text": "' + b"x" * LONG + b'"}'
    spell = SPELLINGS.get(dialect)
    after = json.dumps(spell(ToolCall("7", "read", "{}"))).encode() if spell else b"and more"
    passed = 0
    found: list[Report] = []
    for start in range(0, len(long), CHUNK):
        for report in output.feed(pack(RecordKind.STDOUT, long[start : start + CHUNK])):
            passed += len(report.text) if isinstance(report, Output) else 0
        assert start + CHUNK - passed <= MAX_LINE_BYTES + CHUNK  # no more than one line is ever kept
    found += output.feed(pack(RecordKind.STDOUT, b"\n" + after + b"\n"))
    found += output.finish()

    assert passed == len(long)
    if spell:
        assert typed(found) == [ToolCall("7", "read", "{}")]
    else:
        assert "".join(one.text for one in found if isinstance(one, Output)) == "\nand more\n"
