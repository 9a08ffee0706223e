"""A host that is killed between any two frames of a conversation costs nothing of it. Keeps D13, I3 and I4."""

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.running_host import Client

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

SCRIPT = ("process", "turn", "process", "received", "turn", "process", "received", "turn")
PROMPTS = {1: "the second", 2: "the third"}


@pytest.mark.long
@dataclass
class Ledger:
    """What a conductor has stored: every frame, so all that is due is known from it."""

    start: pb.Start
    frames: list[pb.ExecuteResponse] = field(default_factory=list)

    @property
    def turns(self) -> int:
        return sum(frame.HasField("turn") for frame in self.frames)

    @property
    def is_over(self) -> bool:
        return bool(self.frames) and self.frames[-1].HasField("finished")

    def due(self) -> Iterator[dict[str, object]]:
        """Yields every input without an answer whose turn has come, and the close after the last turn."""
        answered = {frame.input_applied.input_sequence for frame in self.frames if frame.HasField("input_applied")}
        for number, text in PROMPTS.items():
            if number <= self.turns and number not in answered:
                yield {"input": pb.Input(input_sequence=number, text=text, kind=pb.Input.KIND_PROMPT)}
        if self.turns > len(PROMPTS):
            yield {"close": pb.Close()}

    async def go_on(self, client: Client, frames: int) -> None:
        """Resumes, sends again what is due, and reads so many frames."""
        resume = {"resume": pb.Resume(execution=self.start.execution, after_sequence=len(self.frames))}
        async with client.open(**(resume if self.frames else {"start": self.start})) as stream:
            for frame in self.due():
                await stream.send(**frame)
            for _ in range(frames):
                read = await stream.receive()
                assert read is not None, await stream.refusal()
                self.frames.append(read)


@pytest.mark.long
async def test_a_host_killed_after_every_frame_and_every_word_sent_loses_and_doubles_nothing(
    short_path: Path, repository: Path
) -> None:
    data, listen, kills, ledger, is_sent = short_path / "data", f"unix:{short_path}/s", 0, None, False
    while ledger is None or not ledger.is_over:
        async with serving(data, listen) as host, client_of(host, data, repository) as client:
            ledger = ledger or Ledger(client.start_of(*SCRIPT, turns=3))
            # What is due goes out alone first, and the host is killed before it can answer; then again, with an answer.
            is_sent = not is_sent and any(True for _ in ledger.due())
            await ledger.go_on(client, 0 if is_sent else 1)
            await host.end(signal.SIGKILL)
            kills += 1
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        async with client.open(resume=pb.Resume(execution=ledger.start.execution)) as stream:
            finished = await stream.finish()
        spawned = client.spawns()

    assert [frame.SerializeToString() for frame in stream.frames] == [
        frame.SerializeToString() for frame in ledger.frames
    ]
    assert [frame.sequence for frame in stream.frames] == list(range(1, len(stream.frames) + 1))
    process = stream.said("answer").splitlines()[0]
    assert stream.said("answer").splitlines() == [
        process, process, "received: 'the second'", process, "received: 'the third'"
    ]  # fmt: skip
    applied = [frame.input_applied.input_sequence for frame in stream.frames if frame.HasField("input_applied")]
    assert (applied, ledger.turns, len(spawned)) == ([1, 2], 3, 1)
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert kills > 12


@pytest.mark.long
async def test_a_follow_up_that_waited_when_the_host_was_killed_is_applied_once(
    short_path: Path, repository: Path
) -> None:
    """The shim keeps it. The next host does not know of it, and the client that sends it again does not double it."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    follow_up = pb.Input(input_sequence=1, text="a follow-up", kind=pb.Input.KIND_PROMPT)
    script = ("say working", "sleep 3", "turn", "received", "turn", "received", "turn")
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of(*script, turns=3)
        async with client.open(start=start) as first:
            await first.until_said("working")
            await first.send(input=follow_up)
            await asyncio.sleep(0.5)  # the shim has it by now; nothing tells so before it is applied
            await host.end(signal.SIGKILL)
    async with (
        serving(data, listen) as again,
        client_of(again, data, repository) as client,
        client.open(resume=pb.Resume(execution=start.execution)) as second,
    ):
        await second.send(input=follow_up)
        await second.until(lambda frame: frame.turn.number == 2)
        await second.send(input=follow_up)
        await second.send(close=pb.Close())
        finished = await second.finish()

    assert second.said("answer") == "working\nreceived: 'a follow-up'\n"
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
