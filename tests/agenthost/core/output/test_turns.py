"""Turns along a spool, without a process: what the parser makes of them, however the spool is cut. Keeps D13."""

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.frames import merge
from agenthost.core.output.prompt_line import prompt_line
from agenthost.core.output.report import (
    Channel,
    InputApplied,
    InputRefused,
    Notice,
    NoticeKind,
    Output,
    Report,
    Turn,
    Usage,
)
from agenthost.core.output.revisions import FIRST, LATEST, Revisions
from agenthost.core.output.spool import INPUT_NUMBER, RecordKind
from agenthost.shim.spool import pack

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3lM6"


def line(kind: str, **content: object) -> bytes:
    return pack(RecordKind.STDOUT, json.dumps({"type": kind, **content}).encode() + b"\n")


def answer(text: str) -> bytes:
    return line("answer", text=text)


def note(kind: RecordKind, number: int, text: str = "") -> bytes:
    return pack(kind, INPUT_NUMBER.pack(number) + text.encode())


def prompted(number: int) -> bytes:
    return note(RecordKind.INPUT, number, "go") + note(RecordKind.APPLIED, number)


END = line("turn")


def parse(
    chunks: Iterable[bytes], *, turns: bool = True, revisions: Revisions = LATEST, room: int = 10**6
) -> tuple[list[Report], Summary]:
    output = AgentOutput("jsonl", room, (), revisions, has_turns=turns)
    said = [one for chunk in chunks for one in output.feed(chunk)]
    said += output.finish()
    return list(merge(said)), output.summary


def turns_in(said: list[Report]) -> list[Turn]:
    return [one for one in said if isinstance(one, Turn)]


def test_each_turn_has_its_bytes_and_what_is_said_between_two_belongs_to_none() -> None:
    spool = answer("ä") + END + answer("stray") + prompted(1) + answer("two") + END
    said, summary = parse([spool])

    first, second = turns_in(said)
    assert (first.answer_start, first.answer_end) == (0, 2)
    assert (second.answer_start, second.answer_end) == (7, 10)
    assert said.index(InputApplied(1, 2)) < said.index(second)
    assert (summary.last_turn, summary.is_in_turn, summary.is_closed) == (second, False, False)


def test_a_result_belongs_to_its_turn_and_a_turn_without_answer_or_result_is_empty() -> None:
    said, summary = parse([line("final", result={"n": 1}) + END + prompted(1) + line("usage", input_tokens=3) + END])

    first, second = turns_in(said)
    assert (first.result_json, first.succeeded) == ('{"n":1}', True)
    assert (second.result_json, second.reason, second.usage) == ("", "EMPTY_OUTPUT", Usage(3))
    assert summary.result_json == ""


def test_the_end_of_a_turn_lets_go_what_could_have_become_a_secret() -> None:
    """A turn's bytes are all before its end, and its text does not go on in the next."""
    said, _ = parse([answer(TOKEN[:12]) + END + prompted(1) + answer(TOKEN[12:]) + END])

    texts = [one.text for one in said if isinstance(one, Output)]
    assert texts == [TOKEN[:12], TOKEN[12:]]
    assert turns_in(said)[0].answer_end == 12


def test_an_end_when_no_turn_runs_is_ignored_after_one_notice() -> None:
    said, summary = parse([answer("x") + END + END + END + prompted(1) + answer("y") + END])

    assert [turn.number for turn in turns_in(said)] == [1, 2]
    assert [one.kind for one in said if isinstance(one, Notice)] == [NoticeKind.MALFORMED_OUTPUT]
    assert summary.last_turn == turns_in(said)[-1]


def test_a_prompt_of_which_the_agent_took_only_a_part_began_no_turn() -> None:
    spool = answer("x") + END + note(RecordKind.INPUT, 1, "go") + note(RecordKind.REFUSED, 1, "INPUT_CLOSED")
    said, summary = parse([spool])

    assert said[-1] == InputRefused(1, "INPUT_CLOSED")
    assert not summary.is_in_turn
    assert summary.last_turn is not None
    assert summary.last_turn.number == 1


def test_where_one_turn_was_asked_for_a_spool_with_turns_reads_as_one_without() -> None:
    rest = [answer(TOKEN[:12]), answer(TOKEN[12:])]
    spool = rest[0] + END + prompted(1) + rest[1] + END + note(RecordKind.CLOSED, 1)
    said, summary = parse([spool], turns=False)
    plain, _ = parse([b"".join(rest)], turns=False)

    assert said == plain == [Output(Channel.ANSWER, "ghp_[redacted:github-token]")]
    assert (summary.last_turn, summary.last_input, summary.is_closed) == (None, 1, False)


def test_the_first_revision_keeps_the_end_of_a_turn_and_a_notice_as_log() -> None:
    """Keeps I2 K7: an attempt of f9ac01c has the same frames when it is read again."""
    lost = {"type": "notice", "text": "lost"}
    said, _ = parse([answer("x") + END + line("notice", text="lost")], turns=False, revisions=FIRST)

    assert [type(one) for one in said] == [Output, Notice, Output]
    assert said[-1] == Output(Channel.LOG, '{"type": "turn"}\n' + json.dumps(lost) + "\n")


parts = st.lists(
    st.sampled_from(
        [
            answer("ä€ "), answer(TOKEN[:9]), answer(TOKEN[9:]), answer(TOKEN), END, line("turn", failed=True), prompted(1),
            note(RecordKind.INPUT, 2, "x" * 40), note(RecordKind.REFUSED, 2, "INPUT_CLOSED"), note(RecordKind.CLOSED, 2),
            line("final", result={}), line("usage", turns=4), pack(RecordKind.STDERR, b"\xf0"), pack(RecordKind.STDOUT, b"{"),
        ]
    ),
    max_size=14,
)  # fmt: skip


@given(parts, st.integers(1, 60), st.sampled_from([5, 10**6]))
def test_turns_do_not_depend_on_how_the_spool_was_cut(pieces: list[bytes], size: int, room: int) -> None:
    spool = b"".join(pieces)
    chunks = [spool[at : at + size] for at in range(0, len(spool), size)]

    assert parse(chunks, room=room) == parse([spool], room=room)


def test_a_prompt_of_many_lines_is_one_line_in_either_dialect() -> None:
    text = 'one\n"two"\u2028 ä'
    ours, theirs = prompt_line("jsonl", text), prompt_line("stream-json", text)

    assert ours.count("\n") == theirs.count("\n") == 1
    assert json.loads(ours) == {"type": "prompt", "text": text}
    assert json.loads(theirs)["message"]["content"] == [{"type": "text", "text": text}]


def test_what_was_said_before_a_void_is_no_part_of_the_answer() -> None:
    """Keeps D7: the stream shows both, and the end tells where the answer begins."""
    said, summary = parse([answer("half "), line("void"), answer("the whole")], turns=False)
    of_turns, _ = parse([answer("one"), END, prompted(1), answer("half "), line("void"), answer("two"), END])
    _, empty = parse([answer("half"), line("void")], turns=False)

    assert said == [Output(Channel.ANSWER, "half the whole")]
    assert (summary.answer_start, summary.has_answer) == (5, True)
    assert [(turn.answer_start, turn.answer_end) for turn in turns_in(of_turns)] == [(0, 3), (8, 11)]
    assert not empty.has_answer


def test_a_secret_does_not_reach_over_a_void() -> None:
    said, _ = parse([answer(f"it is {TOKEN[:20]}"), line("void"), answer("it is hidden")], turns=False)

    assert said == [Output(Channel.ANSWER, f"it is {TOKEN[:20]}it is hidden")]
