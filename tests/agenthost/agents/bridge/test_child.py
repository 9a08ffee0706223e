"""The lines between a bridge and its agent are bounded, and what had to be left out is told. Keeps D7."""

import io
import json
import sys
from typing import Any

import pytest

from agenthost.agents.bridge.child import Child, ChildError
from agenthost.agents.voice import Voice

pytestmark = pytest.mark.processes

MAX = 64 * 1024


def said_by(program: str) -> tuple[list[Any], list[dict[str, Any]]]:
    """Returns the messages of a program, and what the bridge told beside them."""
    told = io.StringIO()
    child = Child([sys.executable, "-c", program], Voice(told), MAX)
    messages = list(child.messages())
    child.close()
    return messages, [json.loads(line) for line in told.getvalue().splitlines()]


@pytest.mark.parametrize("size", [MAX, MAX + 1, 2 * MAX, 2 * MAX + 1, 5 * MAX])
def test_a_message_that_is_too_long_is_told_as_a_notice_and_the_next_one_is_read(size: int) -> None:
    line = f"print('{{\"a\": \"' + 'x' * {size - 10} + '\"}}')"  # with its end, `size` bytes
    messages, told = said_by(f"{line}; print('{{\"b\": 1}}')")

    if size == MAX:
        assert len(messages) == 2
        assert told == []
        return
    assert messages == [{"b": 1}]
    assert [(one["type"], one["text"].split(" bytes")[0]) for one in told] == [
        ("notice", f"the agent sent a message of {size}")
    ]


def test_a_message_that_is_too_long_and_has_no_end_is_told_too() -> None:
    messages, told = said_by(f"import sys; sys.stdout.write('x' * {MAX + 5})")

    assert messages == []
    assert [one["type"] for one in told] == ["notice"]


def test_lines_that_are_no_message_are_passed_over() -> None:
    program = (
        "import os; os.write(1, b'npm notice\\n[1]\\n\\xff\\n\\n{\"a\": 1}\\n' + b'[' * 50_000 + b'\\n{\"b\": 2}')"
    )

    assert said_by(program) == ([{"a": 1}, {"b": 2}], [])


def test_an_agent_that_reads_no_more_is_told_as_such() -> None:
    child = Child([sys.executable, "-c", ""], Voice(io.StringIO()))
    assert list(child.messages()) == []
    with pytest.raises(ChildError, match="reads no more"):
        child.send({"text": "x" * 10_000_000})

    assert child.close() == 0
