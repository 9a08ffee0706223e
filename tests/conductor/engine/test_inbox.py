"""The engine's inbox is bounded, keeps its order, and merges reports while they wait."""

import asyncio

import pytest

from conductor.core.model.activity import ToolCall, ToolResult
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    ExecutionLost,
    ExecutionReported,
    HostReported,
    Report,
    RequestCancel,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState
from conductor.engine.inbox import Inbox, InboxLimits
from conductor.errors import NoCapacityError, ShuttingDownError


def report(attempt: str, sequence: int, *reports: Report) -> ExecutionReported:
    return ExecutionReported(attempt, sequence, sequence, reports)


def text(attempt: str, sequence: int, words: str) -> ExecutionReported:
    return report(attempt, sequence, Output(attempt, Channel.ANSWER, words))


async def test_frames_that_follow_each_other_are_one_input() -> None:
    """Keeps D3."""
    inbox = Inbox()
    started = AgentStarted(Confinement())
    finished = AgentFinished(AttemptState.SUCCEEDED)
    for frame in (
        report("a", 1, started),
        text("a", 2, "one "),
        text("b", 1, "other"),
        report("a", 3, Output("a", Channel.ANSWER, "two"), Output("a", Channel.LOG, "hm")),
        report("a", 4, finished),
    ):
        await inbox.offer(frame)

    assert inbox.take() == (
        ExecutionReported(
            "a", 1, 4, (started, Output("a", Channel.ANSWER, "one two"), Output("a", Channel.LOG, "hm"), finished)
        ),
        text("b", 1, "other"),
    )
    assert inbox.is_empty


async def test_activities_keep_their_place_between_texts_and_weigh_what_they_say() -> None:
    """Keeps D3 D6."""
    inbox = Inbox(InboxLimits(slot_bytes=1000))
    before, result, after = (
        Output("a", Channel.ANSWER, "x"),
        ToolResult("1", text="y" * 800),
        Output("a", Channel.ANSWER, "z"),
    )
    for sequence, part in enumerate((before, result, after), start=1):
        await inbox.offer(report("a", sequence, part))
    waiting = asyncio.ensure_future(inbox.offer(report("a", 4, ToolCall("2", "read", "w" * 200))))
    await asyncio.sleep(0)

    assert not waiting.done()
    assert inbox.take() == (ExecutionReported("a", 1, 3, (before, result, after)),)
    await waiting


async def test_a_frame_that_reports_nothing_moves_on_all_the_same() -> None:
    """Such as one of a kind that this version does not know."""
    inbox = Inbox()
    await inbox.offer(report("a", 7))

    assert inbox.take() == (report("a", 7),)


async def test_a_repetition_is_not_merged_with_what_it_repeats() -> None:
    """Keeps I3."""
    inbox = Inbox()
    for sequence in (5, 6, 5, 6, 7):
        await inbox.offer(text("a", sequence, f"{sequence}"))

    assert inbox.take() == (
        ExecutionReported("a", 5, 6, (Output("a", Channel.ANSWER, "56"),)),
        ExecutionReported("a", 5, 7, (Output("a", Channel.ANSWER, "567"),)),
    )


async def test_the_control_lane_goes_first_and_keeps_its_order() -> None:
    inbox = Inbox()
    lost, host, cancel = ExecutionLost("a", "gone"), HostReported("north", connected=True), RequestCancel("r", "enough")
    await inbox.offer(text("a", 1, "x"))
    inbox.note(lost)
    inbox.request(cancel)
    inbox.note(host)

    assert inbox.take() == (lost, cancel, host, text("a", 1, "x"))


async def test_a_full_slot_makes_only_its_own_link_wait() -> None:
    """Keeps D10."""
    inbox = Inbox(InboxLimits(slot_bytes=1000))
    await inbox.offer(text("a", 1, "x" * 900))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(inbox.offer(text("a", 2, "y" * 900)))
        await inbox.offer(text("b", 1, "z"))
        assert not waiting.done()

        assert [entry.attempt for entry in inbox.take() if isinstance(entry, ExecutionReported)] == ["a", "b"]
        await waiting

    assert inbox.take() == (text("a", 2, "y" * 900),)


async def test_a_frame_above_the_slots_size_passes_alone() -> None:
    inbox = Inbox(InboxLimits(slot_bytes=10))
    large = text("a", 1, "x" * 100)

    await inbox.offer(large)

    assert inbox.take() == (large,)


async def test_slots_are_taken_in_turn_up_to_the_batch() -> None:
    inbox = Inbox(InboxLimits(slot_bytes=1000, batch_bytes=1500))
    for attempt in "abc":
        await inbox.offer(text(attempt, 1, "x" * 900))

    first = inbox.take()
    await inbox.offer(text("a", 2, "x" * 900))
    second = inbox.take()

    assert [entry.attempt for entry in first if isinstance(entry, ExecutionReported)] == ["a", "b"]
    assert [entry.attempt for entry in second if isinstance(entry, ExecutionReported)] == ["c", "a"]
    assert not inbox.filled.is_set()


async def test_a_batch_holds_a_bounded_number_of_inputs() -> None:
    inbox = Inbox(InboxLimits(batch_inputs=2))
    for number in range(3):
        inbox.note(ExecutionLost(f"{number}", ""))
        await inbox.offer(text(f"a{number}", 1, "x"))

    assert len(inbox.take()) == 4
    assert inbox.filled.is_set()
    assert len(inbox.take()) == 2
    assert not inbox.filled.is_set()


async def test_a_request_too_many_is_refused_and_room_comes_back() -> None:
    """Keeps K5."""
    inbox = Inbox(InboxLimits(requests=2, notes=1))
    for _ in range(2):
        inbox.request(RequestCancel("r", "enough"))
    with pytest.raises(NoCapacityError, match="2 requests wait"):
        inbox.request(RequestCancel("r", "enough"))
    inbox.note(ExecutionLost("a", ""))
    with pytest.raises(NoCapacityError, match="1 notes wait"):
        inbox.note(ExecutionLost("a", ""))

    assert len(inbox.take()) == 3
    inbox.request(RequestCancel("r", "enough"))


async def test_a_closed_inbox_lets_no_caller_wait_and_keeps_what_it_has() -> None:
    """Keeps I6."""
    inbox = Inbox(InboxLimits(slot_bytes=10))
    await inbox.offer(text("a", 1, "x" * 9))

    async def close() -> None:
        inbox.close()

    refused, _ = await asyncio.gather(inbox.offer(text("a", 2, "y" * 9)), close(), return_exceptions=True)
    inbox.note(ExecutionLost("a", ""))

    assert isinstance(refused, ShuttingDownError)
    with pytest.raises(ShuttingDownError):
        inbox.request(RequestCancel("r", "enough"))
    assert inbox.take() == (text("a", 1, "x" * 9),)
    assert inbox.is_empty


async def test_a_request_that_was_put_back_comes_first_and_counts_again() -> None:
    inbox = Inbox(InboxLimits(requests=2))
    early, late = RequestCancel("r", "early"), RequestCancel("r", "late")
    inbox.request(early)
    inbox.take()
    inbox.request(late)
    inbox.put_back(early)
    with pytest.raises(NoCapacityError, match="2 requests wait"):
        inbox.request(late)

    assert inbox.filled.is_set()
    assert inbox.take() == (early, late)
    assert not inbox.filled.is_set()
