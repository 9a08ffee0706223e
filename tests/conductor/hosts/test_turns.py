"""Turns over real streams that break: an input is told until its host has answered it, a close until the end. Keeps D13."""

from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.model.commands import CloseExecution, SendInput, StartExecution
from conductor.core.model.inputs import AgentFinished, AgentTurnEnded, Blob
from conductor.hosts.frames import reports
from tests.conductor.linked_host import ATTEMPT, PROMPT, RUN, SPEC, Linked, linked
from tests.fakes.execution_host import ExecutionHost, said, started, turned

INPUT = SendInput("alpha", ATTEMPT, 1, SPEC.prompt)
CLOSE = CloseExecution("alpha", ATTEMPT)


def talking() -> ExecutionHost:
    """A host whose agent answers, and answers again when it is asked again."""
    return ExecutionHost((started(), said("bad"), turned(1, 0, 3)), (said("good"), turned(2, 3, 7)))


async def turn(it: Linked, number: int) -> AgentTurnEnded:
    """Waits for the end of a turn."""

    def found() -> list[AgentTurnEnded]:
        parts = [part for report in it.inbox.reports for part in report.reports]
        return [part for part in parts if isinstance(part, AgentTurnEnded) and part.number == number]

    await it.inbox.until(lambda: bool(found()))
    return found()[0]


async def talk(it: Linked) -> None:
    """Asks for a second turn, and closes."""
    it.link.post(StartExecution("alpha", SPEC))
    await turn(it, 1)
    it.link.post(INPUT)
    await turn(it, 2)
    it.link.post(CLOSE)
    await it.inbox.until(lambda: any(isinstance(part, AgentFinished) for part in it.inbox.reports[-1].reports))
    await it.until_over()


async def test_an_agent_that_waits_is_given_its_input_and_is_closed(tmp_path: Path) -> None:
    host = talking()
    async with linked(tmp_path, host) as it:
        await talk(it)

        assert it.inbox.sequences == list(range(1, 8))
        assert it.inbox.text("answer") == "badgood"
        assert (await turn(it, 2)).answer_start == 3
        assert host.executions[ATTEMPT].inputs == [PROMPT.decode()]
        assert host.spawned == [ATTEMPT]


CUTS = [("frame", number) for number in range(1, 8)] + [("after input", 1), ("after close", 0)]


@pytest.mark.parametrize("place", CUTS, ids=str)
async def test_an_input_and_a_close_that_may_not_have_arrived_are_sent_again(
    place: tuple[str, int], tmp_path: Path
) -> None:
    cuts = [place]

    def cut(what: str, sequence: int) -> bool:
        if (what, sequence) in cuts:
            cuts.remove((what, sequence))
            return True
        return False

    host = talking()
    host.cut = cut
    async with linked(tmp_path, host) as it:
        await talk(it)

        assert cuts == []
        assert it.inbox.sequences == list(range(1, 8))
        assert host.executions[ATTEMPT].inputs == [PROMPT.decode()]
        assert host.spawned == [ATTEMPT]
        assert it.inbox.notes == []


async def test_an_input_for_an_attempt_that_is_over_opens_no_stream(tmp_path: Path) -> None:
    async with linked(tmp_path, talking()) as it:
        it.link.post(INPUT)
        it.link.post(CLOSE)

        assert it.link.attempts == frozenset()


def test_a_turn_that_failed_says_so_and_carries_its_result() -> None:
    failed = pb.Turn(number=1, reason="EMPTY_OUTPUT", answer_end=2, result_json="{}", usage=pb.Usage(input_tokens=3))

    (told,) = reports(f"{RUN}-ask-1", pb.ExecuteResponse(turn=failed))

    assert isinstance(told, AgentTurnEnded)
    assert (told.number, told.answer_end, told.reason, told.usage.input_tokens) == (1, 2, "EMPTY_OUTPUT", 3)
    assert isinstance(told.result, Blob)
    assert told.result.data == b"{}"
