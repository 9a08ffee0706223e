"""Activities as lines of their channel, and read back: byte for byte those of f9ac01c. Keeps D4 G1 K7."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.core.model.activity import (
    MAX_ARGUMENTS_BYTES,
    Activity,
    LineReader,
    Notice,
    NoticeKind,
    ToolCall,
    ToolResult,
    Usage,
    read_line,
    write_line,
)

# Written by f9ac01c of the same frames.
LINES = (
    (ToolCall("1", "read", '{"path":"ä"}'), '{"kind":"tool_call","id":"1","name":"read","arguments":{"path":"ä"}}'),
    (ToolCall(arguments="[1.5,null]"), '{"kind":"tool_call","arguments":[1.5,null]}'),
    (ToolCall("2"), '{"kind":"tool_call","id":"2"}'),
    (ToolCall("3", arguments="null"), '{"kind":"tool_call","id":"3","arguments":null}'),
    (ToolCall("4", arguments='""'), '{"kind":"tool_call","id":"4","arguments":""}'),
    (ToolResult("1", failed=True, text="a\nb\x01"), '{"kind":"tool_result","id":"1","failed":true,"text":"a\\nb\\u0001"}'),
    (ToolResult("1"), '{"kind":"tool_result","id":"1"}'),
    (Usage(input_tokens=0, turns=7), '{"kind":"usage","input_tokens":0,"turns":7}'),
    (Usage(), '{"kind":"usage"}'),
    (Notice(NoticeKind.MALFORMED_OUTPUT, 'no "type"'), '{"kind":"notice","notice_kind":"malformed_output","text":"no \\"type\\""}'),
    (Notice(NoticeKind.WAITING), '{"kind":"notice","notice_kind":"waiting"}'),
    (Notice(text="x"), '{"kind":"notice","text":"x"}'),
)  # fmt: skip

words = st.text(st.characters(codec="utf-8"), max_size=20)
counts = st.none() | st.integers(0, 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
arguments = st.just("") | json_values.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
activities: st.SearchStrategy[Activity] = (
    st.builds(ToolCall, words, words, arguments)
    | st.builds(ToolResult, words, st.booleans(), words)
    | st.builds(Usage, counts, counts, counts)
    | st.builds(Notice, st.sampled_from(NoticeKind), words)
)


@pytest.mark.parametrize(("activity", "line"), LINES)
def test_a_line_has_the_bytes_that_it_always_had_and_is_read_back(activity: Activity, line: str) -> None:
    assert write_line(activity) == line + "\n"
    assert read_line(line) == activity


def test_arguments_that_were_cut_are_text_and_stay_as_they_were_cut() -> None:
    cut = '{"path":"' + "x" * (MAX_ARGUMENTS_BYTES - 9)
    call = ToolCall("1", "read", cut)

    assert json.loads(write_line(call))["arguments"] == cut
    assert read_line(write_line(call)) == call


@given(activities)
def test_every_activity_comes_back_as_it_was(activity: Activity) -> None:
    assert read_line(write_line(activity)) == activity


@given(activities, st.data())
def test_no_end_of_a_line_is_taken_for_a_line(activity: Activity, data: st.DataObject) -> None:
    line = write_line(activity)
    tail = line[data.draw(st.integers(1, len(line))) :]

    assert read_line(tail) is None


def test_arguments_in_the_form_of_a_line_are_no_line() -> None:
    line = write_line(ToolCall("1", "tell", '{"kind":"usage","input_tokens":1}'))

    assert read_line(line[line.index('{"kind":"usage"') :]) is None


@given(st.lists(activities, max_size=5), st.lists(st.integers(0, 300), max_size=6))
def test_lines_are_read_the_same_however_they_are_cut(told: list[Activity], cuts: list[int]) -> None:
    text = "".join(map(write_line, told))
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    reader = LineReader()

    assert [one for begin, end in pairwise(places) for one in reader.feed(text[begin:end])] == told


@pytest.mark.parametrize(
    "line", ["", "x", "[]", "7", '{"kind":7}', '{"kind":["usage"]}', '{"kind":"song"}', "[" * 100_000]
)
def test_another_line_is_no_activity(line: str) -> None:
    assert read_line(line) is None


def test_fields_of_another_type_are_as_if_they_were_not_there() -> None:
    assert read_line('{"kind":"usage","input_tokens":"many","turns":-1}') == Usage()
    assert read_line('{"kind":"notice","notice_kind":["denial"],"text":1}') == Notice()
    assert read_line('{"kind":"tool_call","id":1,"name":null}') == ToolCall()
