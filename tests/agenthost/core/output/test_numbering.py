"""From spool bytes to numbered frames: the same for every reader that cuts at the same places (architecture.md, rule 1)."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.output.agent_output import AgentOutput
from agenthost.core.output.frame import Attestation, Frame, Started
from agenthost.core.output.numbering import Cut, Numbering, highest_number
from agenthost.core.output.spool import RecordKind
from agenthost.shim.spool import pack

STARTED = Started(Attestation(mechanism="test"))


def opened() -> Numbering:
    numbering = Numbering(AgentOutput("jsonl", 1000))
    numbering.frame(STARTED, 1)
    return numbering


def spooled(*texts: str) -> bytes:
    lines = [json.dumps({"type": "answer", "text": text}).encode() + b"\n" for text in texts]
    return b"".join(pack(RecordKind.STDOUT, line) for line in lines)


@given(
    texts=st.lists(st.sampled_from(["a", "ä€", "long " * 9]), max_size=6),
    reads=st.lists(st.integers(1, 80), max_size=9),
    chunk=st.integers(1, 64),
)
def test_a_reader_that_cuts_where_another_cut_makes_the_same_frames(
    texts: list[str], reads: list[int], chunk: int
) -> None:
    spool = spooled(*texts)
    first, frames, cuts = opened(), list[Frame](), list[Cut]()
    for size in (*reads, len(spool)):
        first.take(spool[first.offset : first.offset + size])
        if first.has_frames:
            cuts.append(first.cut(time_ns=len(cuts)))
            frames += first.frames_at(cuts[-1])
    first.take_end()
    cuts.append(first.cut(time_ns=len(cuts)))
    frames += first.frames_at(cuts[-1])

    second, again = opened(), list[Frame]()
    for cut in cuts:
        while second.offset < cut.offset:
            second.take(spool[second.offset : min(second.offset + chunk, cut.offset)])
        if cut.final:
            second.take_end()
        again += second.frames_at(cut)

    assert again == frames
    assert [frame.sequence for frame in frames] == list(range(2, 2 + len(frames)))
    assert second.is_complete
    assert second.summary == first.summary
    for lost in range(len(cuts)):
        newest = cuts[-lost - 1]
        for known in (*cuts[: -lost - 1], None):
            assert highest_number(known, newest.offset, is_over=newest.final) >= newest.sequence + newest.final


def test_where_no_cut_is_missing_no_higher_number_was_used() -> None:
    running, last = Cut(100, 1, 7, final=False), Cut(100, 1, 7, final=True)

    assert highest_number(running, 100, is_over=False) == 7
    assert highest_number(last, 100, is_over=True) == 8
    assert highest_number(None, 0, is_over=False) == 1
