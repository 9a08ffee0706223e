"""Checks that no agent can make many frames, and that no text is lost for it."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest

from agenthost.core.output import bounding
from agenthost.core.output.agent_output import AgentOutput
from agenthost.core.output.bounding import MAX_FRAMES_PER_CUT, MAX_SAYINGS_PER_CUT, Bounding
from agenthost.core.output.frames import merge
from agenthost.core.output.numbering import Numbering
from agenthost.core.output.report import InputApplied, Notice, NoticeKind, Output, Report, ToolCall, Usage
from agenthost.core.output.revisions import FIRST
from agenthost.core.output.spool import RecordKind
from agenthost.shim.spool import pack

CUT_BYTES = 64 * 1024
FLOODS = {
    "tool calls": ({"type": "tool_call"},),
    "tool results": ({"type": "tool_result", "text": ""},),
    "denials": ({"type": "denial", "text": "no"},),
    "notices": ({"type": "notice", "text": "look"}, {"type": "cut", "text": "cut"}),
    "usage between calls": ({"type": "usage", "turns": 1}, {"type": "tool_call"}),
    "usage between logs": ({"type": "usage", "turns": 1}, {"type": "log", "text": "x"}),
    "channels in turn": ({"type": "answer", "text": "a"}, {"type": "reasoning", "text": "b"}),
    "all in turn": ({"type": "answer", "text": "a"}, {"type": "tool_call"}, {"type": "log", "text": "c"}),
    "ends of turns": ({"type": "turn"},),
    "voids": ({"type": "void"}, {"type": "answer", "text": "a"}),
    "results": ({"type": "final", "result": {}}, {"type": "log", "text": "c"}),
    "unknown lines": ({"type": "?"}, {"type": "answer", "text": 1}, {"type": "log", "text": "c"}),
    "single tokens": ({"type": "answer", "text": "a"},),
}


def _frames(lines: Iterable[dict[str, object]], **options: object) -> list[Report]:
    """Reads lines as a backlog is read: a cut at each so many bytes."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    spool = b"".join(pack(RecordKind.STDOUT, data[start : start + 8192]) for start in range(0, len(data), 8192))
    numbering = Numbering(AgentOutput("jsonl", 10**7, **options))  # type: ignore[arg-type]
    frames: list[Report] = []
    for start in range(0, len(spool), CUT_BYTES):
        numbering.take(spool[start : start + CUT_BYTES])
        frames += [frame.content for frame in numbering.frames_at(numbering.cut(1))]  # type: ignore[misc]
    return frames


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_makes_few_frames_and_keeps_every_text(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounding, "MAX_SAYINGS", 1000)
    lines = [*FLOODS[kind]] * 10_000
    frames = _frames(lines)
    said = Counter[str]()
    for frame in frames:
        if isinstance(frame, Output):
            said[frame.channel] += len(frame.text)
    told = Counter(line["type"] for line in lines if isinstance(line.get("text"), str))

    assert len(frames) < 1000 + MAX_FRAMES_PER_CUT + 10 * (1 + len(lines) * 40 // CUT_BYTES)
    assert said["answer"] == told["answer"]
    assert said["reasoning"] == told["reasoning"]
    assert said["log"] >= told["log"]


def test_what_is_left_out_is_told_for_each_cut_and_at_last_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounding, "MAX_SAYINGS", 1000)
    notices = [frame.text for frame in _frames([{"type": "tool_call"}] * 20_000) if isinstance(frame, Notice)]

    assert len(notices) == 2
    assert "came at once after 512 others, and are left out" in notices[0]
    assert notices[1].startswith("the agent made more than 1000")


def test_an_agent_that_says_little_at_a_time_is_told_word_for_word() -> None:
    said = [ToolCall(str(number), "read", "{}") for number in range(MAX_SAYINGS_PER_CUT)]
    assert Bounding().bound(said) == said


def test_texts_stay_on_their_side_of_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounding, "MAX_FRAMES_PER_CUT", 4)
    answers = [Output("answer", "a"), Output("log", "b"), Usage(turns=1)]  # type: ignore[arg-type]
    turn = InputApplied(1, 2)
    bound = Bounding().bound(list(merge([*answers, *answers, turn, *answers])))

    assert bound == [
        Output("answer", "aa"),  # type: ignore[arg-type]
        Output("log", "bb"),  # type: ignore[arg-type]
        Usage(turns=1),
        turn,
        *answers,
    ]


def test_the_first_revision_is_read_as_it_was() -> None:
    frames = _frames([{"type": "tool_call"}] * 3000, revisions=FIRST)
    assert len(frames) == 3000


def test_a_denial_that_is_left_out_still_counts() -> None:
    output = AgentOutput("jsonl", 100)
    line = b'{"type":"denial","text":"no"}\n' * 3000
    numbering = Numbering(output)
    numbering.take(pack(RecordKind.STDOUT, line))
    frames = list(numbering.frames_at(numbering.cut(1)))

    assert output.summary.denial_count == 3000
    assert len(frames) == MAX_SAYINGS_PER_CUT + 1
    assert sum(isinstance(frame.content, Notice) and frame.content.kind is NoticeKind.DENIAL for frame in frames) == 512
