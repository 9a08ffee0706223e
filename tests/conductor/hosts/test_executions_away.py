"""A link whose host is absent, or ends a call unheard. Over real streams. Keeps I2, B7 and architecture.md's rules 2, 3."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agenthost.errors import EpochSupersededError
from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.model.commands import CancelExecution, StartExecution
from conductor.core.model.inputs import ExecutionLost
from conductor.hosts import attempt_stream
from tests.conductor.linked_host import ATTEMPT, SCRIPT, SPEC, Linked, is_whole, linked
from tests.fakes.execution_host import ExecutionHost


async def until_tried_again(it: Linked) -> None:
    """Waits until another Start has begun: the snapshot is made sure of before each."""
    tried = len(it.ensured)
    async with asyncio.timeout(20):
        while len(it.ensured) == tried:
            await asyncio.sleep(0.01)


async def test_a_start_does_not_wait_for_an_absent_host_so_a_cancel_meanwhile_starts_nothing(tmp_path: Path) -> None:
    """A call that waited would leave when the host comes, whatever was decided meanwhile: its agent would begin, to be ended."""
    async with linked(tmp_path, ExecutionHost(SCRIPT), is_absent=True) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await until_tried_again(it)
        await until_tried_again(it)
        it.link.post(CancelExecution("alpha", ATTEMPT, "enough"))
        await until_tried_again(it)
        await it.arrive()
        await it.inbox.until(lambda: bool(it.inbox.notes))
        await it.until_over()

    assert set(it.host.openings) == {"resume"}
    assert it.host.spawned == []
    assert it.host.burnt == {ATTEMPT}
    assert isinstance(it.inbox.notes[0], ExecutionLost)


async def test_a_start_for_an_absent_host_is_made_once_when_it_comes(tmp_path: Path) -> None:
    async with linked(tmp_path, ExecutionHost(SCRIPT), is_absent=True) as it:
        it.link.post(StartExecution("alpha", SPEC))
        await until_tried_again(it)
        await until_tried_again(it)
        await it.arrive()
        await it.inbox.until(lambda: is_whole(it.inbox))
        await it.until_over()

    assert it.host.spawned == [ATTEMPT]
    assert it.inbox.notes == []


class _EndsUnheard(ExecutionHost):
    """Ends its first stream behind words that wait to be read, and the next one when it is told to: a newer conductor came."""

    def __init__(self) -> None:
        super().__init__(SCRIPT[:3])
        self.has_said_all = asyncio.Event()
        self.has_heard = asyncio.Event()
        self.may_end = asyncio.Event()
        self.heard: list[str] = []

    async def Execute(self, requests: AsyncIterator[pb.ExecuteRequest], context: Any) -> Any:  # noqa: N802
        execution = self._attach(await anext(requests))
        if len(self.openings) == 1:
            for frame in execution.frames:
                yield frame
            self.has_said_all.set()
        else:
            listening = asyncio.create_task(self._listen(requests))
            self.has_heard.set()
            await self.may_end.wait()
            listening.cancel()
        raise EpochSupersededError

    async def _listen(self, requests: AsyncIterator[pb.ExecuteRequest]) -> None:
        async for request in requests:
            self.heard.append(str(request.WhichOneof("frame")))


async def test_a_status_that_was_lost_is_asked_for_again_and_nothing_else_is_said_before_it_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC loses the status of a call that is written to when it has ended, while words of it wait to be read."""
    monkeypatch.setattr(attempt_stream, "LISTENING_SECONDS", 60.0)
    host = _EndsUnheard()
    with capture_logs() as logs:
        async with linked(tmp_path, host) as it:
            it.inbox.room = asyncio.Semaphore(0)
            it.link.post(StartExecution("alpha", SPEC))
            await host.has_said_all.wait()
            await it.round_trip()
            it.link.post(CancelExecution("alpha", ATTEMPT, "enough"))
            await it.round_trip()
            for _ in SCRIPT:
                it.inbox.room.release()
            await host.has_heard.wait()
            await it.round_trip()
            assert host.heard == []
            host.may_end.set()
            async with asyncio.timeout(20):
                while not it.disabled:
                    await asyncio.sleep(0.01)

    ended = [(log["code"], log["reason"]) for log in logs if log["event"] == "stream_ended"]
    assert ended == [("STATUS_LOST", ""), ("ABORTED", "EPOCH_SUPERSEDED")]
    assert host.openings == ["start", "resume"]
    assert it.inbox.sequences == [1]
