"""Attempts of several turns, over real streams, with a real agent in a real sandbox. Keeps D13."""

import asyncio
from collections.abc import Callable

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.running_host import Client, Conversation, execution_id

pytestmark = pytest.mark.processes

SUCCEEDED = pb.Finished.OUTCOME_SUCCEEDED
TURNS = (
    "process",
    "say one",
    "turn",
    "process",
    "received",
    "say two",
    "turn",
    "process",
    "received",
    "say three",
    "turn",
)
TWO_LINES = 'Once more:\n"two" lines'


def prompt(number: int, text: str) -> pb.Input:
    return pb.Input(input_sequence=number, text=text, kind=pb.Input.KIND_PROMPT)


def is_a(kind: str) -> Callable[[pb.ExecuteResponse], bool]:
    return lambda frame: frame.HasField(kind)  # type: ignore[arg-type]


def turns_of(conversation: Conversation) -> list[pb.Turn]:
    return [frame.turn for frame in conversation.frames if frame.HasField("turn")]


def text_of(conversation: Conversation, turn: pb.Turn) -> str:
    return conversation.said("answer").encode()[turn.answer_start : turn.answer_end].decode()


async def test_three_turns_are_one_process_and_each_has_its_text(client: Client) -> None:
    async with client.open(start=client.start_of(*TURNS, turns=3)) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(1, TWO_LINES))
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(2, "And again"))
        await conversation.until(is_a("turn"))
        await conversation.send(close=pb.Close())
        finished = await conversation.finish()

    first, second, third = (text_of(conversation, turn).splitlines() for turn in turns_of(conversation))
    assert first[0].startswith("process: ")
    assert first == [first[0], "one"]
    assert second == [first[0], f"received: {TWO_LINES!r}", "two"]
    assert third == [first[0], "received: 'And again'", "three"]
    assert [(turn.number, turn.succeeded) for turn in turns_of(conversation)] == [(1, True), (2, True), (3, True)]
    applied = [frame.input_applied for frame in conversation.frames if frame.HasField("input_applied")]
    assert [(one.input_sequence, one.turn) for one in applied] == [(1, 2), (2, 3)]
    assert (finished.outcome, finished.exit_code) == (SUCCEEDED, 0)
    assert len(client.spawns()) == 1


async def test_each_turn_has_a_result_of_its_own_and_usage_adds_up(client: Client) -> None:
    script = ("usage 3 4", 'final {"n": 1}', "turn", "usage 5 9", 'final {"n": 2}', "turn")
    async with client.open(start=client.start_of(*script, turns=2)) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(1, "again"))
        await conversation.until(is_a("turn"))
        await conversation.send(close=pb.Close())
        finished = await conversation.finish()

    told = [(turn.result_json, turn.usage.output_tokens) for turn in turns_of(conversation)]
    assert told == [('{"n":1}', 4), ('{"n":2}', 9)]
    assert (finished.result_json, finished.usage.output_tokens) == ('{"n":2}', 9)


async def test_a_conversation_is_resumed_in_each_turn_with_the_same_frames(client: Client) -> None:
    """Keeps I3: a stream that breaks before or after any frame finds the same numbers and bytes."""
    start = client.start_of(*TURNS, turns=3)
    seen: list[bytes] = []
    async with client.open(start=start) as first:
        await first.until(is_a("turn"))
        seen += [frame.SerializeToString() for frame in first.frames]
    for number, text in ((1, TWO_LINES), (2, "And again")):
        resume = pb.Resume(execution=execution_id(), after_sequence=len(seen))
        async with client.open(resume=resume) as later:
            await later.send(input=prompt(number, text))
            await later.until(is_a("turn"))
            seen += [frame.SerializeToString() for frame in later.frames]
    async with client.open(resume=pb.Resume(execution=execution_id(), after_sequence=len(seen))) as last:
        await last.send(close=pb.Close())
        end = await last.until(is_a("finished"))
        seen.append(end.SerializeToString())
    for after in range(len(seen)):
        async with client.open(resume=pb.Resume(execution=execution_id(), after_sequence=after)) as again:
            await again.until(is_a("finished"))
        assert [frame.SerializeToString() for frame in again.frames] == seen[after:]
    assert end.finished.outcome == SUCCEEDED


async def test_a_prompt_that_comes_during_a_turn_waits_for_its_end(client: Client) -> None:
    """A follow-up: the agent sees it when the turn is over, and it begins the next."""
    script = ("say working", "sleep 0.5", "say done", "turn", "received", "turn")
    async with client.open(start=client.start_of(*script, turns=2)) as conversation:
        await conversation.until_said("working")
        await conversation.send(input=prompt(1, "follow-up"))
        await conversation.until(lambda frame: frame.turn.number == 2)
        await conversation.send(close=pb.Close())
        await conversation.finish()

    kinds = [frame.WhichOneof("frame") for frame in conversation.frames]
    assert kinds.index("turn") < kinds.index("input_applied")
    assert text_of(conversation, turns_of(conversation)[1]) == "received: 'follow-up'\n"


async def test_an_input_that_is_sent_twice_is_applied_once(client: Client) -> None:
    script = ("say one", "turn", "received", "turn", "received", "turn")
    async with client.open(start=client.start_of(*script, turns=3)) as conversation:
        await conversation.until(is_a("turn"))
        for _ in range(3):
            await conversation.send(input=prompt(1, "once"))
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(1, "once"))
        await conversation.send(input=prompt(2, "twice"))
        await conversation.until(is_a("turn"))
        await conversation.send(close=pb.Close())
        await conversation.finish()

    assert conversation.said("answer") == "one\nreceived: 'once'\nreceived: 'twice'\n"
    assert [frame.input_applied.input_sequence for frame in conversation.frames if frame.HasField("input_applied")] == [
        1,
        2,
    ]


async def test_a_prompt_beyond_the_turns_and_one_after_the_close_are_refused_by_number(client: Client) -> None:
    async with client.open(start=client.start_of("say one", "turn", "say two", "turn", turns=2)) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(1, "second"))
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(2, "third"))
        spent = await conversation.until(is_a("input_refused"))
        await conversation.send(close=pb.Close())
        await conversation.send(input=prompt(3, "late"))
        finished = await conversation.finish()

    refused = [
        (frame.input_refused.input_sequence, frame.input_refused.reason)
        for frame in conversation.frames
        if frame.HasField("input_refused")
    ]
    assert (spent.input_refused.input_sequence, spent.input_refused.reason) == (2, "TURNS_SPENT")
    assert refused in (
        [(2, "TURNS_SPENT")],
        [(2, "TURNS_SPENT"), (3, "INPUT_CLOSED")],
    )  # else `finished` answers the last
    assert finished.outcome == SUCCEEDED


async def test_a_close_refuses_the_prompts_that_wait_and_lets_the_turn_end(client: Client) -> None:
    script = ("say working", "sleep 1", "say done", "turn", "received", "turn")
    async with client.open(start=client.start_of(*script, turns=3)) as conversation:
        await conversation.until_said("working")
        await conversation.send(input=prompt(1, "never"))
        await conversation.send(input=prompt(2, "nor this"))
        await conversation.send(close=pb.Close())
        finished = await conversation.finish()

    refused = [frame.input_refused.input_sequence for frame in conversation.frames if frame.HasField("input_refused")]
    assert refused == [1, 2]
    assert [(turn.number, text_of(conversation, turn)) for turn in turns_of(conversation)] == [(1, "working\ndone\n")]
    assert finished.outcome == SUCCEEDED


async def test_an_input_to_an_ended_attempt_is_answered_by_its_end(client: Client) -> None:
    async with client.open(start=client.start_of("say one", "turn", "exit 0", turns=2)) as first:
        await first.until(is_a("turn"))
        await first.send(input=prompt(1, "go"))
        await first.until(is_a("finished"))
    async with client.open(resume=pb.Resume(execution=execution_id())) as later:
        await later.send(input=prompt(2, "are you there?"))
        finished = await later.finish()

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_FAILED, "EMPTY_OUTPUT")
    assert [turn.number for turn in turns_of(later)] == [1]


async def test_inputs_are_bounded_in_size_and_number(client: Client) -> None:
    async with client.open(start=client.start_of("say ready", "sleep 100", "turn", turns=100)) as conversation:
        await conversation.until_said("ready")
        for number in range(1, 10):
            await conversation.send(input=prompt(number, "wait"))
        refusal = await conversation.refusal()
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "INPUT_QUEUE_FULL")

    async with client.open(resume=pb.Resume(execution=execution_id())) as conversation:
        await conversation.send(input=prompt(40, "a gap"))
        assert (await conversation.refusal()).code == "INVALID_ARGUMENT"
    async with client.open(resume=pb.Resume(execution=execution_id())) as conversation:
        await conversation.send(input=prompt(1, "x" * (256 * 1024 + 1)))
        assert (await conversation.refusal()).code == "INVALID_ARGUMENT"
    async with client.open(resume=pb.Resume(execution=execution_id())) as conversation:
        await conversation.send(input=pb.Input(input_sequence=1, text="x", kind=77))  # type: ignore[arg-type]
        assert (await conversation.refusal()).code == "INVALID_ARGUMENT"
    async with client.open(resume=pb.Resume(execution=execution_id())) as conversation:
        await conversation.send(cancel=pb.Cancel(reason="seen"))
        assert (await conversation.finish()).outcome == pb.Finished.OUTCOME_CANCELLED


async def test_the_widest_prompt_arrives_whole(client: Client) -> None:
    """Each of its characters takes six bytes as JSON."""
    script = ("say one", "turn", "received", "turn")
    async with client.open(start=client.start_of(*script, turns=2)) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(1, "\x01" * (256 * 1024)))
        await conversation.until(is_a("turn"))
        await conversation.send(close=pb.Close())
        await conversation.finish()

    assert conversation.said("answer").endswith("\\x01' of 262144 characters\n")


@pytest.mark.parametrize("turns", [0, 1])
async def test_an_agent_that_claims_turns_it_was_not_asked_for_is_not_believed(client: Client, turns: int) -> None:
    """Keeps E6: such a line stops no clock, and makes no frame."""
    claim = 'json {"type": "turn"}'
    conversation, finished = await client.run("say x", claim, claim, "say y", turns=turns)
    _, idle = await client.run("say x", claim, "hang", turns=turns, step="idle", idle_timeout="0.3s")

    assert [frame.WhichOneof("frame") for frame in conversation.frames if not frame.HasField("output")] == [
        "started",
        "finished",
    ]
    assert (conversation.said("answer"), finished.outcome) == ("x\ny\n", SUCCEEDED)
    assert (idle.outcome, idle.reason) == (pb.Finished.OUTCOME_TIMED_OUT, "IDLE_TIMEOUT")


async def test_an_agent_that_ends_turns_that_it_was_not_given_ends_one(client: Client) -> None:
    claim = 'json {"type": "turn"}'
    async with client.open(
        start=client.start_of("say x", claim, claim, "echo-input 1", claim, claim, claim, "turn", turns=5)
    ) as talk:
        await talk.until(is_a("turn"))
        await talk.until(is_a("notice"))  # of the last claim before the agent waits: the next turn begins behind it
        await talk.send(input=prompt(1, "go on"))
        await talk.until(is_a("turn"))
        await talk.send(close=pb.Close())
        finished = await talk.finish()

    assert [(turn.number, text_of(talk, turn)) for turn in turns_of(talk)] == [
        (1, "x\n"),
        (2, 'input: {"type": "prompt", "text": "go on"}\n'),
    ]
    assert [frame.notice.kind for frame in talk.frames if frame.HasField("notice")] == [pb.Notice.KIND_MALFORMED_OUTPUT]
    assert finished.outcome == SUCCEEDED


@pytest.mark.long
async def test_between_two_turns_silence_is_no_hang_and_in_the_next_one_it_is(client: Client) -> None:
    start = client.start_of("say one", "turn", "hang", turns=2, idle_timeout="20s", first_output_timeout="3s")
    async with client.open(start=start) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(input=prompt(1, "go on"))
        hung = await conversation.finish()
    waiting = client.start_of(
        "say one", "turn", "say two", "turn", turns=2, step="wait", idle_timeout="3s", timeout="7s"
    )
    async with client.open(start=waiting) as conversation:
        waited = await conversation.finish()

    assert (hung.outcome, hung.reason) == (pb.Finished.OUTCOME_TIMED_OUT, "FIRST_OUTPUT_TIMEOUT")
    assert (waited.outcome, waited.reason) == (pb.Finished.OUTCOME_TIMED_OUT, "STEP_TIMEOUT")


@pytest.mark.long
async def test_while_no_stream_is_attached_silence_means_nothing(client: Client) -> None:
    """Nobody then knows whether an agent waits or hangs: only the wall clock and the orphan clock run."""
    start = client.start_of("say one", "sleep 4", "say two", "turn", turns=2, idle_timeout="2s", orphan_timeout="20s")
    async with client.open(start=start) as first:
        await first.until_said("one")
    await asyncio.sleep(3)  # it is time itself that must pass
    async with client.open(resume=pb.Resume(execution=execution_id())) as later:
        await later.until(is_a("turn"))
        await later.send(close=pb.Close())
        assert (await later.finish()).outcome == SUCCEEDED


@pytest.mark.parametrize(
    "last",
    [("exit 3",), ("signal KILL",), ("hang",)],
    ids=["exit code", "signal", "it does not leave"],
)
async def test_after_a_valid_last_turn_the_way_in_which_the_agent_leaves_changes_nothing(
    client: Client, last: tuple[str, ...]
) -> None:
    agent = ("say one", 'json {"type": "turn"}', "stdin", *last)
    async with client.open(start=client.start_of(*agent, turns=2, cancel_grace="0.1s")) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(close=pb.Close())
        await conversation.until_said("stdin")
        if last == ("hang",):
            await conversation.send(cancel=pb.Cancel(reason="it takes too long"))
        finished = await conversation.finish()

    assert (finished.outcome, finished.reason) == (SUCCEEDED, "")


async def test_a_cancel_without_a_close_is_a_cancel(client: Client) -> None:
    async with client.open(start=client.start_of("say one", "turn", turns=2)) as conversation:
        await conversation.until(is_a("turn"))
        await conversation.send(cancel=pb.Cancel(reason="enough"))
        finished = await conversation.finish()

    assert finished.outcome == pb.Finished.OUTCOME_CANCELLED


@pytest.mark.parametrize(
    ("script", "reason"),
    [(("say one", "turn failed"), "TURN_FAILED"), (("log nothing", "turn"), "EMPTY_OUTPUT")],
)
async def test_a_last_turn_that_failed_is_the_attempts_failure(
    client: Client, script: tuple[str, ...], reason: str
) -> None:
    async with client.open(start=client.start_of(*script, turns=2)) as conversation:
        turn = (await conversation.until(is_a("turn"))).turn
        await conversation.send(close=pb.Close())
        finished = await conversation.finish()

    assert (turn.succeeded, turn.reason) == (False, reason)
    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_FAILED, reason)
    assert finished.cause == pb.Finished.CAUSE_AGENT


async def test_an_agent_of_one_turn_is_refused_more_and_says_so_before(client: Client) -> None:
    host = await client.hosts.GetHost(host_pb.GetHostRequest())
    with_turns = {agent.name for agent in host.agents if "turns" in agent.features}
    more = await client.refused(client.start_of(turns=2, agent="survey"))
    too_many = await client.refused(client.start_of(turns=101))
    one = client.start_of(turns=1, agent="survey", parameters={"lens": "docs"})
    async with client.open(start=one) as conversation:
        await conversation.send(close=pb.Close())
        closed = await conversation.refusal()

    assert "turns" in host.features
    assert {"scripted", "claude", "gemini", "opencode"} <= with_turns
    assert "survey" not in with_turns
    assert more.code == too_many.code == closed.code == "INVALID_ARGUMENT"
    assert "survey" in str(more.violations)
