"""Tool calls are found in every form in which models write them, and nowhere else. Keeps B5."""

import pytest

from agenthost.agents.reader.calls import Call, native_calls, parsed, written_calls

NAMES = frozenset({"read_file", "search"})
READ = {"path": "a.py"}


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "read_file", "arguments": {"path": "a.py"}}</tool_call>',
        'I look.\n<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>\n',
        '<tool_call>{"name": "read_file", "arguments": {"path": "a.py"}}',
        '```json\n{"name": "read_file", "arguments": {"path": "a.py"}}\n```',
        '```tool_call\n{"tool": "read_file", "args": {"path": "a.py"}}\n```',
        '{"name": "read_file", "parameters": {"path": "a.py"}}',
        '{"name": "read_file", "arguments": "{\\"path\\": \\"a.py\\"}"}',
        '{"function": {"name": "read_file", "arguments": {"path": "a.py"}}}',
        '{"function": "read_file", "input": {"path": "a.py"}}',
        '[{"name": "read_file", "arguments": {"path": "a.py"}}]',
        '{"name": "read_file", "arguments": {"path": "a.py",}}',
        '{"name": "read_file", "arguments": {"path": "a.py"',
    ],
)
def test_a_call_that_is_written_as_text_is_a_call(text: str) -> None:
    assert written_calls(text, NAMES) == [Call("call_0", "read_file", READ)]


@pytest.mark.parametrize(
    "text",
    [
        "The function read_file reads a file.",
        '{"findings": []}',
        '```json\n{"name": "conductor", "version": 1}\n```',
        "",
        "{",
    ],
)
def test_json_that_names_no_tool_stays_an_answer(text: str) -> None:
    assert written_calls(text, NAMES) == []


def test_arguments_that_are_no_object_are_told_to_the_model() -> None:
    [call] = native_calls([{"id": "x", "name": "search", "arguments": '["a"'}])

    assert "no JSON object" in call.error


def test_arguments_with_raw_line_breaks_and_without_any_are_read() -> None:
    assert parsed('{"pattern": "a\nb"}') == {"pattern": "a\nb"}
    assert native_calls([{"id": "", "name": "list_files", "arguments": ""}]) == [Call("call_0", "list_files", {})]


def test_a_flood_of_calls_is_bounded() -> None:
    one = '<tool_call>{"name": "search", "arguments": {"pattern": "x"}}</tool_call>'

    assert len(written_calls(one * 1000, NAMES)) == 8
