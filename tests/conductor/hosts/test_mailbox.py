"""A mailbox: bounded, in the order in which a stream must be spoken, and able to say things again."""

import asyncio

from conductor.core.conversation import ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, ResumeExecution, StartExecution
from conductor.core.model.events.event_parts import StartSpec
from conductor.hosts.mailbox import Mailbox

START = StartExecution("north", StartSpec("a", "survey", "p", "c", (), 1.0, 1.0))
RESUME = ResumeExecution("north", "a", 4)
CANCEL = CancelExecution("north", "a", "enough")


def ack(sequence: int, *, finished: bool = False) -> AckExecution:
    return AckExecution("north", "a", sequence, finished=finished)


def filled(*commands: ExecutionCommand) -> Mailbox:
    mailbox = Mailbox()
    for command in commands:
        mailbox.put(command)
    return mailbox


def drained(mailbox: Mailbox) -> list[ExecutionCommand]:
    taken = []
    while (command := mailbox.take_now()) is not None:
        taken.append(command)
    return taken


def test_the_opening_comes_first_and_cancel_overtakes() -> None:
    """Keeps D6."""
    assert drained(filled(ack(3), CANCEL, START)) == [START, CANCEL, ack(3)]


def test_a_newer_ack_takes_the_place_of_an_older_one() -> None:
    assert drained(filled(ack(3), ack(5), ack(4))) == [ack(5)]
    assert drained(filled(ack(5, finished=True), ack(5))) == [ack(5, finished=True)]


def test_the_first_reason_to_cancel_stays() -> None:
    again = CancelExecution("north", "a", "quarantined")

    assert drained(filled(CANCEL, again)) == [CANCEL]


def test_a_resume_takes_the_place_of_a_start_that_was_not_told() -> None:
    assert drained(filled(START, RESUME)) == [RESUME]


def test_after_a_broken_connection_cancel_and_ack_are_told_again() -> None:
    """Keeps I3."""
    mailbox = filled(START, CANCEL, ack(3))
    drained(mailbox)

    mailbox.rewind()

    assert drained(mailbox) == [CANCEL, ack(3)]
    assert drained(mailbox) == []


async def test_a_taker_waits_for_the_next_command() -> None:
    mailbox = Mailbox()
    async with asyncio.TaskGroup() as group:
        taken = [group.create_task(mailbox.take())]
        await asyncio.sleep(0)
        mailbox.put(CANCEL)
        assert await taken[0] == CANCEL
        taken.append(group.create_task(mailbox.take()))
        await asyncio.sleep(0)
        mailbox.put(ack(1))

    assert taken[1].result() == ack(1)
