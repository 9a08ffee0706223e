"""Execute by its rules, over a real stream, with a real agent in a real sandbox."""

import asyncio
import threading
from contextlib import suppress
from dataclasses import replace

import grpc
import pytest

from agenthost.host.tombstones import Tombstone, Tombstones
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import CONDUCTOR, Client, execution_id
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

MORE_THAN_THREADS = 64  # of the event loop's own


async def test_a_scripted_agent_runs_from_start_to_acknowledged_end(client: Client) -> None:
    conversation, finished = await client.run(
        "say hello", "reason because", "usage 3 4", "tool 1 read", 'final {"a":1}'
    )

    assert conversation.said("answer") == "hello\n"
    assert conversation.said("reasoning") == "because\n"
    assert [frame.sequence for frame in conversation.frames] == list(range(1, len(conversation.frames) + 1))
    assert conversation.frames[0].started.attestation.uid != 0
    assert (finished.outcome, finished.reason, finished.exit_code) == (pb.Finished.OUTCOME_SUCCEEDED, "", 0)
    assert (finished.usage.input_tokens, finished.usage.output_tokens) == (3, 4)
    assert finished.result_json == '{"a":1}'
    seen = finished.attestation
    assert seen.snapshot_fingerprint_before == seen.snapshot_fingerprint_after != ""
    assert seen.argv[-1] == "/opt/agent/scripted.py"


async def test_the_first_token_is_sent_while_the_agent_still_works(client: Client) -> None:
    async with client.open(start=client.start_of("token one", "echo-input 1")) as conversation:
        await conversation.until_said("one")
        await conversation.send(input=pb.Input(input_sequence=1, text="two"))
        await conversation.finish()

    assert conversation.said("answer") == "oneinput: two\n"


async def test_streams_of_parallel_attempts_are_not_mixed(client: Client) -> None:
    """Keeps D3."""
    client.host.settings = replace(client.host.settings, slots=8)
    markers = [f"marker{number}" for number in range(8)]
    runs = [client.run(f"repeat 50 say {marker}", step=marker) for marker in markers]
    for marker, (conversation, _) in zip(markers, await asyncio.gather(*runs), strict=True):
        assert conversation.said("answer") == f"{marker}\n" * 50


@pytest.mark.parametrize(
    ("script", "outcome", "reason"),
    [
        (["say x", "exit 3"], pb.Finished.OUTCOME_FAILED, "AGENT_EXIT_NONZERO"),
        (["say x", "signal KILL"], pb.Finished.OUTCOME_FAILED, "AGENT_KILLED"),
        (["log nothing to say"], pb.Finished.OUTCOME_FAILED, "EMPTY_OUTPUT"),
    ],
)
async def test_an_end_has_one_outcome_with_its_reason(
    client: Client, script: list[str], outcome: int, reason: str
) -> None:
    """Keeps D4 and D5."""
    _, finished = await client.run(*script)

    assert (finished.outcome, finished.reason) == (outcome, reason)
    assert finished.HasField("signal") == (reason == "AGENT_KILLED")
    assert finished.signal == (9 if reason == "AGENT_KILLED" else 0)
    assert finished.exit_code == (3 if reason == "AGENT_EXIT_NONZERO" else 0)


async def test_a_long_answer_is_cut_and_flagged_and_the_attempt_succeeds(client: Client) -> None:
    """Keeps D5."""
    conversation, finished = await client.run("fill 3145728")

    assert len(conversation.said("answer")) == 2 * 1024 * 1024
    assert finished.answer_truncated
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert [frame.notice.kind for frame in conversation.frames if frame.HasField("notice")] == [
        pb.Notice.KIND_ANSWER_TRUNCATED
    ]


async def test_a_flood_ends_the_attempt_at_its_output_limit(client: Client) -> None:
    """Keeps D5."""
    conversation, finished = await client.run("say x", "flood 100000000", max_output_bytes=1024 * 1024)

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_FAILED, "OUTPUT_TOO_LARGE")
    assert len(conversation.said("log")) <= 1024 * 1024


async def test_output_that_is_not_utf_8_arrives_as_replacement_characters(client: Client) -> None:
    conversation, finished = await client.run("bytes ff00fe0a", "say fine")

    assert conversation.said("log") == "\ufffd\x00\ufffd\n"
    assert conversation.said("answer") == "fine\n"
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_clocks_end_an_attempt_with_their_own_reason(client: Client) -> None:
    _, idle = await client.run("say x", "hang", step="idle", idle_timeout="0.3s")
    _, mute = await client.run("hang", step="mute", first_output_timeout="0.3s")
    _, wall = await client.run("repeat 100000 sleep 0.01", step="wall", timeout="0.3s")

    assert (idle.outcome, idle.reason) == (pb.Finished.OUTCOME_TIMED_OUT, "IDLE_TIMEOUT")
    assert (mute.outcome, mute.reason) == (pb.Finished.OUTCOME_TIMED_OUT, "FIRST_OUTPUT_TIMEOUT")
    assert (wall.outcome, wall.reason) == (pb.Finished.OUTCOME_TIMED_OUT, "STEP_TIMEOUT")


async def test_an_attempt_is_resumed_after_every_frame_with_the_same_frames(client: Client) -> None:
    """Keeps I3: what a broken stream had is not sent again, what it had not is sent in the same pieces."""
    start = client.start_of("say one", "reason two", "tool 1 read", "bytes ff", "say three", "usage 1 2", "stderr four")
    async with client.open(start=start) as first:
        await first.until(lambda frame: frame.HasField("finished"))
    whole = [frame.SerializeToString() for frame in first.frames]
    assert len(whole) > 6
    for after in range(len(whole)):
        async with client.open(resume=pb.Resume(execution=start.execution, after_sequence=after)) as again:
            await again.until(lambda frame: frame.HasField("finished"))
        assert [frame.SerializeToString() for frame in again.frames] == whole[after:]
    async with client.open(resume=pb.Resume(execution=start.execution, after_sequence=len(whole))) as last:
        await last.send(ack=pb.Ack(sequence=len(whole)))
        await until(lambda: not list((client.data / "attempts").iterdir()))


async def test_a_resume_beyond_the_last_number_is_refused(client: Client) -> None:
    start = client.start_of("say one")
    async with client.open(start=start) as first:
        last = await first.until(lambda frame: frame.HasField("finished"))
    async with client.open(resume=pb.Resume(execution=start.execution, after_sequence=last.sequence + 1)) as again:
        refusal = await again.refusal()

    assert (refusal.code, refusal.violations[0][0]) == ("INVALID_ARGUMENT", "resume.after_sequence")


async def test_an_acknowledged_end_releases_the_folder_and_spends_the_id(client: Client) -> None:
    start = client.start_of("say one")
    async with client.open(start=start) as conversation:
        await conversation.finish()
    again = await client.refused(start)
    listed = await client.executions.ListExecutions(pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=1))

    assert list((client.data / "attempts").iterdir()) == []
    assert again.reason == "EXECUTION_EXISTS"
    assert [(one.execution, one.state) for one in listed.executions] == [(start.execution, pb.Execution.STATE_RELEASED)]
    assert len(client.spawns()) == 1


async def test_a_stream_that_is_cut_in_the_middle_of_a_release_leaves_no_folder(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by `./dev chaos`: the stream's end must not end the deletion that it waits for."""
    bury, buried, room = Tombstones.add, asyncio.Event(), threading.Event()

    async def bury_and_fill_the_threads(self: Tombstones, stone: Tombstone) -> None:
        await bury(self, stone)
        for _ in range(MORE_THAN_THREADS):
            asyncio.get_running_loop().run_in_executor(None, room.wait)
        buried.set()

    monkeypatch.setattr(Tombstones, "add", bury_and_fill_the_threads)
    async with client.open(start=client.start_of("say one")) as conversation:
        finished = await conversation.until(lambda frame: frame.HasField("finished"))
        await conversation.send(ack=pb.Ack(sequence=finished.sequence))
        await buried.wait()
    # An answer on the same connection: the host knows by now that the stream before it is gone.
    await client.executions.ListExecutions(pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=1))
    room.set()

    await until(lambda: not list((client.data / "attempts").iterdir()))


async def test_a_lost_connection_does_not_end_the_agent(client: Client) -> None:
    start = client.start_of("say one", "echo-input 1")
    async with client.open(start=start) as first:
        await first.until_said("one")
    listed = await client.executions.ListExecutions(pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=1))
    async with client.open(resume=pb.Resume(execution=start.execution, after_sequence=2)) as second:
        await second.send(input=pb.Input(input_sequence=1, text="back"))
        await second.finish()

    assert [one.state for one in listed.executions] == [pb.Execution.STATE_RUNNING]
    assert second.said("answer") == "input: back\n"
    assert len(client.spawns()) == 1


async def test_two_lines_by_hand_are_enough(client: Client) -> None:
    """A client that half-closes at once, as grpcurl does, still sees everything."""
    async with client.open(start=client.start_of("say one", "sleep 0.2", "say two")) as conversation:
        await conversation.call.done_writing()
        await conversation.until(lambda frame: frame.HasField("finished"))
        assert await conversation.call.read() is grpc.aio.EOF
        assert await conversation.call.code() == grpc.StatusCode.OK

    assert conversation.said("answer") == "one\ntwo\n"


async def test_an_older_epoch_is_refused_in_the_first_frame_and_in_later_ones(client: Client) -> None:
    """Keeps I2."""
    start = client.start_of("say one", "hang")
    async with client.open(start=start, epoch=3) as old:
        await old.until_said("one")
        await client.executions.ListExecutions(pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=4))
        await old.send(cancel=pb.Cancel(reason="from the past"))
        later = await old.refusal()
    first = await client.refused(start, epoch=3)
    with pytest.raises(grpc.aio.AioRpcError, match="superseded"):
        await client.executions.ListExecutions(pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=3))
    async with client.open(resume=pb.Resume(execution=start.execution), epoch=4) as new:
        await new.send(cancel=pb.Cancel(reason="now"))
        finished = await new.finish()

    assert later.reason == first.reason == "EPOCH_SUPERSEDED"
    assert later.code == "ABORTED"
    assert finished.outcome == pb.Finished.OUTCOME_CANCELLED


async def test_an_input_that_is_sent_twice_is_applied_once(client: Client) -> None:
    async with client.open(start=client.start_of("echo-input 2")) as conversation:
        for number in (1, 1, 2, 1, 2):
            await conversation.send(input=pb.Input(input_sequence=number, text=f"text {number}"))
        await conversation.finish()

    assert conversation.said("answer") == "input: text 1\ninput: text 2\n"


async def test_inputs_are_bounded_while_the_agent_does_not_read(client: Client) -> None:
    # The first fills the pipe of an agent that never reads; eight more find room behind it.
    inputs = [pb.Input(input_sequence=number, text="x" * 100_000) for number in range(1, 13)]
    async with client.open(start=client.start_of("say ready", "hang")) as conversation:
        await conversation.until_said("ready")
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # refused while this still writes
            for sent in inputs:
                await conversation.send(input=sent)
        await conversation.refusal()
    # grpc.aio replaces the status of a call that still writes: it is read where the refused input is the last.
    async with client.open(resume=pb.Resume(execution=execution_id())) as again:
        for sent in inputs[:10]:
            await again.send(input=sent)
        refusal = await again.refusal()
    async with client.open(resume=pb.Resume(execution=execution_id())) as last:
        await last.send(cancel=pb.Cancel())
        finished = await last.finish()

    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "INPUT_QUEUE_FULL")
    assert finished.reason == "CANCELLED"


async def test_cancelling_again_and_again_ends_the_agent_once(client: Client) -> None:
    async with client.open(start=client.start_of("say ready", "hang")) as conversation:
        await conversation.until_said("ready")
        for _ in range(5):
            await conversation.send(cancel=pb.Cancel(reason="enough"))
        finished = await conversation.finish()

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_CANCELLED, "CANCELLED")


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({"ack": pb.Ack(sequence=999)}, "ack.sequence"),
        ({"input": pb.Input(input_sequence=2, text="")}, "input.input_sequence"),
        ({"input": pb.Input(input_sequence=1, text="x" * 300_000)}, "input.text"),
        ({"start": pb.Start()}, "frame"),
        ({"resume": pb.Resume()}, "frame"),
        ({}, "frame"),
    ],
)
async def test_a_wrong_frame_ends_the_stream_but_not_the_agent(
    client: Client, frame: dict[str, object], field: str
) -> None:
    async with client.open(start=client.start_of("say ready", "echo-input 1")) as conversation:
        await conversation.until_said("ready")
        await conversation.send(**frame)
        refusal = await conversation.refusal()
    async with client.open(resume=pb.Resume(execution=execution_id())) as again:
        await again.send(input=pb.Input(input_sequence=1, text="go on"))
        finished = await again.finish()

    assert (refusal.code, refusal.violations[0][0]) == ("INVALID_ARGUMENT", field)
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


@pytest.mark.parametrize("frame", [{"cancel": pb.Cancel()}, {"ack": pb.Ack()}, {}])
async def test_a_stream_begins_with_start_or_resume(client: Client, frame: dict[str, object]) -> None:
    async with client.open(**frame) as conversation:  # type: ignore[arg-type]
        assert (await conversation.refusal()).violations[0][0] == "frame"


async def test_a_stream_that_ends_before_its_first_frame_is_refused(client: Client) -> None:
    call = client.executions.Execute()
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"agent": ""}, "start.agent"),
        ({"prompt": "ä" * (512 * 1024 + 1)}, "start.prompt"),
        ({"snapshot": "HEAD"}, "start.snapshot"),
        ({"parameters": {"model": "x"}}, "start.parameters[model]"),
        ({"agent": "survey", "parameters": {"lens": "risks; rm"}}, "start.parameters[lens]"),
        ({"timeout": "90000s"}, "start.timeout"),
        ({"orphan_timeout": "0s"}, "start.orphan_timeout"),
        ({"max_output_bytes": 2**40}, "start.max_output_bytes"),
        ({"max_answer_bytes": -1}, "start.max_answer_bytes"),
    ],
)
async def test_a_wrong_start_names_its_field_and_spawns_nothing(
    client: Client, fields: dict[str, object], field: str
) -> None:
    """Keeps E1."""
    refusal = await client.refused(client.start_of("say x", **fields))  # type: ignore[arg-type]

    assert (refusal.code, refusal.reason, refusal.violations[0][0]) == ("INVALID_ARGUMENT", "INVALID_REQUEST", field)
    assert client.spawns() == []


async def test_what_is_missing_refuses_a_start_and_leaves_no_trace(client: Client) -> None:
    no_snapshot = await client.refused(client.start_of("say x", snapshot="0" * 40))
    no_agent = await client.refused(client.start_of("say x", agent="claude"))
    _, finished = await client.run("say the same id is still free")

    assert (no_snapshot.code, no_snapshot.reason) == ("FAILED_PRECONDITION", "SNAPSHOT_MISSING")
    assert (no_agent.code, no_agent.reason) == ("FAILED_PRECONDITION", "AGENT_UNAVAILABLE")
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_a_full_host_says_when_to_come_back(client: Client) -> None:
    client.host.settings = replace(client.host.settings, slots=1)
    async with client.open(start=client.start_of("say x", "hang", step="first")) as first:
        await first.until_said("x")
        refusal = await client.refused(client.start_of("say y", step="second"))
        await first.send(cancel=pb.Cancel())
        await first.finish()
    _, finished = await client.run("say y", step="second")

    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY")
    assert refusal.retry_after_seconds is not None
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_the_host_counts_what_runs(client: Client) -> None:
    async with client.open(start=client.start_of("say x", "hang")) as conversation:
        await conversation.until_said("x")
        assert client.host.running == 1
        await conversation.send(cancel=pb.Cancel())
        await conversation.finish()
    await until(lambda: client.host.running == 0)


async def test_an_end_that_is_not_acknowledged_is_let_go(client: Client) -> None:
    async with client.open(start=client.start_of("say old", step="old")) as conversation:
        await conversation.until(lambda frame: frame.HasField("finished"))
    (folder,) = (client.data / "attempts").iterdir()
    while (await _listed(client))[0].attached:
        await asyncio.sleep(0)
    await client.run("say young", step="young")
    assert folder.exists()
    client.host.settings = replace(client.host.settings, unheard_seconds=0.0)
    await client.run("say new", step="new")
    await until(lambda: not folder.exists())

    assert (await client.refused(client.start_of("say old", step="old"))).reason == "EXECUTION_EXISTS"


async def test_a_stream_whose_end_was_not_acknowledged_does_not_end_well(client: Client) -> None:
    """Keeps I3: OK would tell a conductor whose acknowledgement comes late that the host has let go, and it would keep the end."""
    async with client.open(start=client.start_of("say late")) as conversation:
        await conversation.until(lambda frame: frame.HasField("finished"))
        assert (await conversation.refusal()).reason == "END_UNHEARD"


async def _listed(client: Client) -> list[pb.Execution]:
    request = pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=1)
    return list((await client.executions.ListExecutions(request)).executions)
