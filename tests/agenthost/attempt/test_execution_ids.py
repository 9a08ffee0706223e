"""An id runs once on a host, and is one conductor's: over the real server, with real sandboxes. Keeps I2."""

import asyncio

import grpc
import pytest

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2
from servicekit.statuses import read_refusal
from tests.agenthost.running_host import CONDUCTOR, Client, execution_id

pytestmark = pytest.mark.processes


async def test_a_step_inside_another_one_runs_under_its_path_and_the_host_says_that_it_may(client: Client) -> None:
    """growth.md 2."""
    told = await client.hosts.GetHost(host_service_pb2.GetHostRequest())
    conversation, finished = await client.run("say once", step="angles.3.look")

    assert "path_ids" in told.features
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert [spawn["execution"] for spawn in client.spawns()] == [execution_id("angles.3.look")]
    assert conversation.said("answer") == "once\n"


async def test_a_start_that_is_sent_twice_runs_once(client: Client) -> None:
    """Keeps I2, from one conductor; the newest of its streams is the one that is served."""
    start = client.start_of("say once", "echo-input 1")
    async with client.open(start=start) as first:
        await first.until_said("once")
        async with client.open(start=start) as second:
            await second.until_said("once")
            assert (await first.refusal()).reason == "STREAM_SUPERSEDED"
            await second.send(input=pb.Input(input_sequence=1, text="go"))
            await second.finish()

    assert [spawn["execution"] for spawn in client.spawns()] == [start.execution]


async def test_a_start_from_two_conductors_runs_once_and_takes_nothing_from_the_first(client: Client) -> None:
    """Keeps I2 and rule 10: the other may be a copy that was restored from a backup, and knows every id of the first."""
    start = client.start_of("say once", "echo-input 1")
    async with client.open(start=start) as first:
        await first.until_said("once")
        assert (await client.refused(start, conductor="conductor-2")).reason == "EXECUTION_EXISTS"
        await first.send(input=pb.Input(input_sequence=1, text="go"))
        await first.finish()

    assert [spawn["execution"] for spawn in client.spawns()] == [start.execution]


async def test_a_stream_that_means_another_host_begins_nothing_and_spends_no_id(client: Client) -> None:
    """Keeps I2: hosts may have exchanged their addresses, and this one cannot know what runs on the other."""
    start = client.start_of("say once")
    for first in ({"start": start}, {"resume": pb.Resume(execution=start.execution)}):
        conversation = client.executions.Execute()
        await conversation.write(pb.ExecuteRequest(conductor_id=CONDUCTOR, epoch=1, instance="another", **first))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await conversation.read()
        assert read_refusal(refused.value).reason == "OTHER_INSTANCE"
    told = await client.hosts.GetHost(host_service_pb2.GetHostRequest())
    assert told.instance == (client.data / "instance").read_text()
    _, finished = await client.run("say once")

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_starts_of_one_id_that_race_run_once(client: Client) -> None:
    """Keeps I2."""
    start = client.start_of("say once")

    async def ask() -> str:
        async with client.open(start=start) as conversation:
            try:
                await conversation.until(lambda frame: frame.HasField("finished"))
            except grpc.aio.AioRpcError:
                return "superseded"
            return conversation.said("answer")

    assert "once\n" in await asyncio.gather(*(ask() for _ in range(5)))
    assert len(client.spawns()) == 1


async def test_a_start_with_other_content_is_refused(client: Client) -> None:
    async with client.open(start=client.start_of("say one")) as first:
        await first.until(lambda frame: frame.HasField("finished"))
    refusal = await client.refused(client.start_of("say two"))

    assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "EXECUTION_EXISTS")


async def test_another_conductor_can_neither_resume_nor_burn_an_execution(client: Client) -> None:
    """Keeps I2: an epoch fences the stream of its own conductor only, so no other conductor may take it over."""
    start = client.start_of("say one", "hang")
    async with client.open(start=start) as own:
        await own.until(lambda frame: frame.HasField("output"))
        async with client.open(conductor="conductor-2", resume=pb.Resume(execution=start.execution)) as foreign:
            refusal = await foreign.refusal()
        async with client.open(resume=pb.Resume(execution=start.execution)) as again:
            first = await again.receive()

    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "EXECUTION_NOT_FOUND")
    assert first is not None
    assert first.sequence == 1


async def test_an_id_that_was_resumed_in_vain_can_not_be_started_later(client: Client) -> None:
    async with client.open(resume=pb.Resume(execution=execution_id())) as conversation:
        unknown = await conversation.refusal()
    late = await client.refused(client.start_of("say late"))

    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "EXECUTION_NOT_FOUND")
    assert (late.code, late.reason) == ("ALREADY_EXISTS", "EXECUTION_EXISTS")
    assert client.spawns() == []
