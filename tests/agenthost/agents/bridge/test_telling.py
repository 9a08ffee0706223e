"""What a bridge tells is always a line that the host reads, however much an agent says at once. Keeps D7."""

import io
import json

from agenthost.agents.bridge.telling import Telling
from agenthost.agents.voice import Voice
from agenthost.core.output.dialects.jsonl import read_jsonl
from agenthost.core.output.report import Channel, Notice, NoticeKind, Output, ToolCall, ToolResult

HUGE = "\N{GRINNING FACE}" * 3_000_000  # 12 MB, 36 MB in JSON


def test_the_longest_texts_are_read_as_what_they_are() -> None:
    stream = io.StringIO()
    telling = Telling(Voice(stream))
    telling.say(HUGE)
    telling.think(HUGE)
    telling.call(HUGE, HUGE, {"text": HUGE})
    telling.result(HUGE, HUGE, failed=True)
    telling.voice.denial(HUGE)
    telling.voice.notice(HUGE)
    reader = read_jsonl()
    reports = [*reader.feed(stream.getvalue().encode()), *reader.finish()]

    said = {
        channel: "".join(one.text for one in reports if isinstance(one, Output) and one.channel is channel)
        for channel in Channel
    }
    assert said == {Channel.ANSWER: HUGE, Channel.REASONING: HUGE, Channel.LOG: ""}
    (call,), (result,) = ([one for one in reports if isinstance(one, kind)] for kind in (ToolCall, ToolResult))
    assert "cut" in json.loads(call.arguments)
    assert result.failed
    notices = [one.kind for one in reports if isinstance(one, Notice)]
    assert notices == [NoticeKind.DENIAL, NoticeKind.MALFORMED_OUTPUT]


def test_words_after_a_tool_are_a_paragraph_of_their_own_and_each_turn_begins_its_own() -> None:
    stream = io.StringIO()
    telling = Telling(Voice(stream))
    telling.say("First.")
    telling.call("1", "read", {})
    telling.call("1", "read", {})
    telling.result("1", "text", failed=False)
    telling.result("1", "text", failed=False)
    telling.say(" Then.")
    telling.begin_turn()
    assert not telling.has_answer
    telling.say("Second turn.")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert [line["type"] for line in lines] == ["answer", "tool_call", "tool_result", "answer", "answer"]
    assert [line["text"] for line in lines if line["type"] == "answer"] == ["First.", "\n\nThen.", "Second turn."]
