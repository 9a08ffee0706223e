"""The link of a host's executions, over real streams that break. Keeps I2, I3 and architecture.md's rules 2, 3, 4, 10."""

import asyncio
from pathlib import Path

import pytest

from agenthost.errors import (
    AgentUnavailableError,
    HostDrainingError,
    InvalidRequestError,
    PreconditionError,
    StorageError,
    Violation,
)
from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.model.commands import AckExecution, CancelExecution, ResumeExecution, StartExecution
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.inputs import AgentFinished, AgentStarted, ExecutionLost, ExecutionRefused
from tests.conductor.linked_host import ATTEMPT, RUN, SCRIPT, SPEC, is_whole, linked
from tests.fakes.execution_host import ExecutionHost, finished, said, started


async def test_an_attempt_is_started_heard_acknowledged_and_let_go(tmp_path: Path) -> None:
    async with linked(tmp_path, ExecutionHost(SCRIPT)) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: is_whole(it.inbox))
        await it.until_over()

        assert it.inbox.sequences == [1, 2, 3, 4, 5, 6]
        assert it.inbox.text("answer") == "abcd"
        assert it.inbox.text("reasoning") == "think"
        assert isinstance(it.inbox.reports[0].reports[0], AgentStarted)
        assert it.host.executions[ATTEMPT].is_released
        assert it.ensured == [SPEC.snapshot]
        assert it.inbox.notes == []


CUTS = [(what, number) for what in ("frame", "before ack", "after ack") for number in range(1, 7)]


@pytest.mark.parametrize("place", CUTS, ids=str)
async def test_a_stream_that_breaks_anywhere_loses_nothing_and_doubles_nothing(
    place: tuple[str, int], tmp_path: Path
) -> None:
    """Keeps I3: cut before every frame, and around every acknowledgement."""
    cuts = [place]

    def cut(what: str, sequence: int) -> bool:
        if (what, sequence) in cuts:
            cuts.remove((what, sequence))
            return True
        return False

    host = ExecutionHost(SCRIPT)
    host.cut = cut
    async with linked(tmp_path, host) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: is_whole(it.inbox))
        await it.until_over()

        assert it.inbox.sequences == [1, 2, 3, 4, 5, 6]
        assert it.inbox.text("answer") == "abcd"
        assert host.spawned == [ATTEMPT]
        assert host.executions[ATTEMPT].is_released
        assert it.inbox.notes == []


async def test_a_stream_that_breaks_at_every_frame_still_arrives(tmp_path: Path) -> None:
    seen: set[int] = set()

    def cut(what: str, sequence: int) -> bool:
        is_new = what == "frame" and sequence not in seen
        seen.add(sequence) if is_new else None
        return is_new

    host = ExecutionHost(SCRIPT)
    host.cut = cut
    async with linked(tmp_path, host) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: is_whole(it.inbox))
        assert it.inbox.sequences == [1, 2, 3, 4, 5, 6]


async def test_a_start_that_is_sent_again_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """Keeps rule 3: other content would be refused as another execution."""
    host = ExecutionHost((started(),))
    cuts = [("frame", 1)]
    host.cut = lambda what, number: bool(cuts) and cuts.pop() == (what, number)
    async with linked(tmp_path, host) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: bool(it.inbox.reports))

    assert host.openings == ["start", "start"]
    assert host.spawned == [ATTEMPT]


async def test_a_resumed_attempt_begins_after_the_number_that_was_stored(tmp_path: Path) -> None:
    host = ExecutionHost(SCRIPT)
    host._started(pb.Start(execution=ATTEMPT))
    async with linked(tmp_path, host) as it:
        it.link.post(ResumeExecution("alpha", ATTEMPT, 3))
        await it.inbox.until(lambda: is_whole(it.inbox))
        await it.until_over()

    assert it.inbox.sequences == [4, 5, 6]
    assert it.ensured == []


async def test_an_attempt_that_the_host_does_not_know_is_lost(tmp_path: Path) -> None:
    async with linked(tmp_path, ExecutionHost()) as it:
        it.link.post(ResumeExecution("alpha", ATTEMPT, 3))
        await it.inbox.until(lambda: bool(it.inbox.notes))
        await it.until_over()

    (lost,) = it.inbox.notes
    assert isinstance(lost, ExecutionLost)
    assert lost.attempt == ATTEMPT


async def test_acknowledging_what_the_host_let_go_already_is_the_end_of_it(tmp_path: Path) -> None:
    async with linked(tmp_path, ExecutionHost()) as it:
        it.link.post(AckExecution("alpha", ATTEMPT, 6, finished=True))
        await it.until_over()

    assert it.inbox.notes == []


async def test_an_ended_attempt_is_acknowledged_after_a_restart_without_being_read_again(tmp_path: Path) -> None:
    host = ExecutionHost(SCRIPT)
    host._started(pb.Start(execution=ATTEMPT))
    async with linked(tmp_path, host) as it:
        it.link.post(AckExecution("alpha", ATTEMPT, 6, finished=True))
        await it.until_over()

    assert host.executions[ATTEMPT].is_released
    assert it.inbox.reports == []


@pytest.mark.parametrize(
    ("refusal", "retryable"),
    [
        (AgentUnavailableError(), True),
        (HostDrainingError(), True),
        (PreconditionError("READ_ONLY_UNAVAILABLE", "no"), True),
        (InvalidRequestError(Violation("start.prompt", "is too long")), False),
    ],
    ids=lambda value: getattr(value, "reason", str(value)),
)
async def test_a_start_that_the_host_will_not_take_is_refused(
    refusal: Exception, retryable: object, tmp_path: Path
) -> None:
    host = ExecutionHost(SCRIPT)
    host.refusal = refusal
    async with linked(tmp_path, host) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: bool(it.inbox.notes))
        await it.until_over()

    (refused,) = it.inbox.notes
    assert isinstance(refused, ExecutionRefused)
    assert (refused.reason, refused.retryable) == (refusal.reason, retryable)  # type: ignore[attr-defined]


async def test_a_cancel_reaches_the_host_and_the_end_is_its_own(tmp_path: Path) -> None:
    """Keeps B7."""
    async with linked(tmp_path, ExecutionHost((started(), said("a")))) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: len(it.inbox.reports) == 2)
        it.link.post(CancelExecution("alpha", ATTEMPT, "enough"))
        await it.inbox.until(lambda: is_whole(it.inbox))
        await it.until_over()

    (end,) = it.inbox.reports[-1].reports
    assert isinstance(end, AgentFinished)
    assert end.outcome == "cancelled"
    assert it.host.executions[ATTEMPT].cancels == ["enough"]


async def test_a_cancel_while_the_snapshot_is_on_its_way_starts_nothing(tmp_path: Path) -> None:
    on_its_way = asyncio.Event()

    async def never(commit: str) -> None:
        on_its_way.set()
        await asyncio.Event().wait()

    async with linked(tmp_path, ExecutionHost(SCRIPT), ensure=never) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await on_its_way.wait()
        it.link.post(CancelExecution("alpha", ATTEMPT, "enough"))
        await it.inbox.until(lambda: bool(it.inbox.notes))

    assert it.host.spawned == []
    assert it.host.burnt == {ATTEMPT}
    assert isinstance(it.inbox.notes[0], ExecutionLost)


async def test_a_full_engine_stops_the_reading_and_nothing_is_dropped(tmp_path: Path) -> None:
    """Keeps rule 2 from the other side: the link waits, the engine does not."""
    script = (started(), *(said(f"{number} ") for number in range(200)), finished())
    async with linked(tmp_path, ExecutionHost(script)) as it:
        it.inbox.room = asyncio.Semaphore(3)
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: len(it.inbox.reports) == 3)
        for _ in range(300):
            it.inbox.room.release()
        await it.inbox.until(lambda: is_whole(it.inbox))

    assert it.inbox.text("answer") == "".join(f"{number} " for number in range(200))


async def test_an_engine_that_lost_what_was_read_gets_it_again(tmp_path: Path) -> None:
    async with linked(tmp_path, ExecutionHost((started(), said("a"), said("b")))) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: len(it.inbox.reports) == 3)
        it.link.post(ResumeExecution("alpha", ATTEMPT, 1))
        await it.inbox.until(lambda: len(it.inbox.reports) == 5)

    assert it.inbox.sequences == [1, 2, 3, 2, 3]


async def test_a_newer_start_of_this_conductor_silences_the_older(tmp_path: Path) -> None:
    """Keeps I2 and rule 10."""
    host = ExecutionHost(SCRIPT)
    host.epoch = 5
    async with linked(tmp_path, host, epoch=4) as it:
        it.link.post(StartExecution("alpha", SPEC))
        async with asyncio.timeout(10):
            while not it.disabled:
                await asyncio.sleep(0.01)
        assert "newer start" in it.disabled[0]
        assert host.spawned == []


async def test_many_attempts_have_streams_at_once_and_none_gets_anothers_words(tmp_path: Path) -> None:
    """Keeps D3."""
    specs = [StartSpec(f"{RUN}-s{n}-1", "scripted", SPEC.prompt, SPEC.snapshot, (), 60.0, 30.0) for n in range(40)]
    async with linked(tmp_path, ExecutionHost(SCRIPT)) as it:
        for spec in specs:
            it.link.post(StartExecution("alpha", spec))
        await it.inbox.until(lambda: len(it.inbox.reports) == 40 * 6)
        await it.until_over()

    for spec in specs:
        mine = [report.first_sequence for report in it.inbox.reports if report.attempt == spec.execution]
        assert mine == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("script", [SCRIPT, SCRIPT[:2]], ids=["ended", "running"])
async def test_an_execution_that_no_run_counts_on_is_ended_and_let_go_without_a_word(
    script: tuple[pb.ExecuteResponse, ...], tmp_path: Path
) -> None:
    """Keeps rule 9."""
    host = ExecutionHost(script)
    host._started(pb.Start(execution=ATTEMPT))
    async with linked(tmp_path, host) as it:
        it.link.compare()
        async with asyncio.timeout(10):
            while not host.executions[ATTEMPT].is_released:
                await asyncio.sleep(0.01)
        await it.until_over()

        assert it.inbox.reports == []
        assert it.inbox.notes == []


async def test_a_comparison_that_fails_is_made_again(tmp_path: Path) -> None:
    """Found by simulation: the host stayed connected, so nothing else asked for it, and its executions were never released."""
    host = ExecutionHost(SCRIPT)
    host._started(pb.Start(execution=ATTEMPT))
    host.list_refusals.append(StorageError())
    async with linked(tmp_path, host) as it:
        it.link.compare()
        async with asyncio.timeout(10):
            while not host.executions[ATTEMPT].is_released:
                await asyncio.sleep(0.01)

        assert host.compared == 2


async def test_what_the_core_counts_on_is_left_alone_by_the_comparison(tmp_path: Path) -> None:
    host = ExecutionHost(SCRIPT[:2])
    host._started(pb.Start(execution=ATTEMPT))
    async with linked(tmp_path, host) as it:
        it.live.add(ATTEMPT)
        it.link.compare()
        async with asyncio.timeout(10):
            while not host.compared:
                await asyncio.sleep(0.01)
        assert it.link.attempts == frozenset()
        assert host.executions[ATTEMPT].cancels == []


async def test_a_command_reaches_only_the_stream_that_attends(tmp_path: Path) -> None:
    async with linked(tmp_path, ExecutionHost((started(),))) as it:
        it.link.post(CancelExecution("", ATTEMPT, "enough"))
        assert it.link.attempts == frozenset()
        it.link.post(StartExecution("alpha", SPEC))
        await it.inbox.until(lambda: bool(it.inbox.reports))
        it.link.post(CancelExecution("", ATTEMPT, "enough"))
        await it.inbox.until(lambda: is_whole(it.inbox))
