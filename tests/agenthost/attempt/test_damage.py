"""Damages files of attempts while the daemon is away: each fault is named, contained, and reported as a typed end.

The daemon is ended with SIGKILL, files of all attempts but one are damaged by hand, each in its own way, and the next daemon is
asked. The one that is left alone must not notice.
"""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.host_process import host_at
from tests.agenthost.running_host import Client, Conversation, execution_id, folder_of
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

Harm = Callable[[Path], object]


def cut_short(folder: Path) -> None:
    spool = folder / "spool"
    with spool.open("r+b") as file:
        file.truncate(spool.stat().st_size // 2)


def flip(name: str) -> Harm:
    def harm(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 0x41
        (folder / name).write_bytes(content)

    return harm


def remove(name: str) -> Harm:
    return lambda folder: (folder / name).unlink()


def garble(name: str) -> Harm:
    return lambda folder: (folder / name).write_bytes(b"[1, 2")


LIVE = ("say one", "reason two", "say last", "hang")
# By step: what is done to the attempt, and what its end must name.
HARMS: dict[str, tuple[Harm, str]] = {
    "spool_cut": (cut_short, "spool: "),
    "spool_changed": (flip("spool"), "spool: "),
    "spool_removed": (remove("spool"), "spool: "),
    "cuts_changed": (flip("cuts"), "cuts: "),
    "cuts_removed": (remove("cuts"), "cuts: it ends before frame"),
    "release_changed": (garble("released.json"), "released.json: "),
    "release_removed": (remove("released.json"), "released.json: "),
    "status_changed": (garble("status.json"), "status.json: "),
}
UNASKABLE: dict[str, Harm] = {"start_changed": garble("start"), "owner_changed": garble("owner.json")}


async def speak(client: Client, step: str, *script: str) -> Conversation:
    async with client.open(start=client.start_of(*script, step=step)) as conversation:
        if "hang" in script or "echo-input 1" in script:
            await conversation.until_said("last")
        else:
            await conversation.until(lambda frame: frame.HasField("finished"))
    return conversation


@pytest.mark.long
async def test_each_damaged_file_ends_its_own_attempt_with_a_reason_and_no_other(
    short_path: Path, repository: Path
) -> None:
    """Keeps I4: "spool file truncated by hand: named, contained, reported; nothing else suffers"."""
    data = short_path / "data"
    async with host_at(short_path, repository) as (host, client):
        scripts = {step: LIVE[:3] if step == "status_changed" else LIVE for step in (*HARMS, *UNASKABLE)}
        before = {step: await speak(client, step, *script) for step, script in scripts.items()}
        untouched = await speak(client, "untouched", "say last", "echo-input 1")
        await client.run("say spent", step="spent")
        await host.end(signal.SIGKILL)
    damage(data)
    async with host_at(short_path, repository) as (host, client):
        after = {step: await resumed(client, step, before[step]) for step in HARMS}
        for step in UNASKABLE:
            await until((folder_of(data, execution_id(step)) / "status.json").exists)
            async with client.open(resume=pb.Resume(execution=execution_id(step))) as unknown:
                assert (await unknown.refusal()).reason == "EXECUTION_NOT_FOUND"
        going_on = await resumed(client, "untouched", untouched)
        spent = await client.refused(client.start_of("say spent", step="spent"))
        await host.end()

    for step, (_, words) in HARMS.items():
        finished = after[step].frames[-1]
        assert (step, finished.finished.reason) == (step, "HOST_FILES_DAMAGED")
        assert words in finished.finished.message
        # Nothing else stands under a number that was sent before, and no number is left out.
        numbers = [frame.sequence for frame in told_before(before[step]) + after[step].frames]
        assert numbers == list(range(1, finished.sequence + 1)), step
    assert untouched.said("answer") + going_on.said("answer") == "last\ninput: go on\n"
    assert going_on.frames[-1].finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert spent.reason == "EXECUTION_EXISTS"
    told = "".join(host.lines)
    assert all(word in told for word in ("execution_damaged", "shim_ended", "tombstone_damaged", "fence_damaged"))


def damage(data: Path) -> None:
    for step, harm in [*((step, harm) for step, (harm, _) in HARMS.items()), *UNASKABLE.items()]:
        harm(folder_of(data, execution_id(step)))
    for name in ("tombstones.jsonl", "fences.jsonl"):
        with (data / name).open("ab") as file:
            file.write(b'[1]\n{"conductor": 7}\n\xff\n{"execution": "x", "why": "no reason"}\n')


def told_before(conversation: Conversation) -> list[pb.ExecuteResponse]:
    return [frame for frame in conversation.frames if not frame.HasField("finished")]


async def resumed(client: Client, step: str, before: Conversation) -> Conversation:
    resume = pb.Resume(execution=execution_id(step), after_sequence=len(told_before(before)))
    async with client.open(resume=resume) as conversation:
        if step == "untouched":
            await conversation.send(input=pb.Input(input_sequence=1, text="go on"))
        await conversation.finish()
    return conversation


async def test_a_resume_beyond_all_that_was_sent_is_refused_by_the_next_daemon_and_the_attempt_lives(
    short_path: Path, repository: Path
) -> None:
    """Nothing here is damaged: such a number is the client's mistake."""
    async with host_at(short_path, repository) as (host, client):
        first = await speak(client, "live", "say last", "echo-input 1")
        ended = await speak(client, "ended", "say last")
        await host.end(signal.SIGKILL)
    async with host_at(short_path, repository) as (host, client):
        for step, known in (("live", len(first.frames)), ("ended", len(ended.frames))):
            for beyond in (known + 1, 1_000_000):
                async with client.open(resume=pb.Resume(execution=execution_id(step), after_sequence=beyond)) as stream:
                    refusal = await stream.refusal()
                assert (step, refusal.code, refusal.reason) == (step, "INVALID_ARGUMENT", "INVALID_REQUEST")
                assert refusal.violations[0][0] == "resume.after_sequence"
                assert f"must be 0 to {known}" in refusal.violations[0][1]
        resume = pb.Resume(execution=execution_id("live"), after_sequence=len(first.frames))
        async with client.open(resume=resume) as going_on:
            await going_on.send(input=pb.Input(input_sequence=1, text="go on"))
            finished = await going_on.finish()
        await host.end()

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert first.said("answer") + going_on.said("answer") == "last\ninput: go on\n"
    assert "execution_damaged" not in "".join(host.lines)


@pytest.mark.long
async def test_a_client_that_has_less_than_was_sent_is_told_what_it_missed_and_the_same_end(
    short_path: Path, repository: Path
) -> None:
    """Keeps I3 as far as damage allows: no gap, no second end, the same frames for every client that comes back."""
    async with host_at(short_path, repository) as (host, client):
        first = await speak(client, "look", *LIVE)
        await host.end(signal.SIGKILL)
    flip("spool")(folder_of(short_path / "data", execution_id()))
    told = {}
    for known in afters(len(first.frames)):
        async with host_at(short_path, repository) as (host, client):
            for after in known:
                async with client.open(resume=pb.Resume(execution=execution_id(), after_sequence=after)) as stream:
                    await stream.until(lambda frame: frame.HasField("finished"))
                told[after] = [frame.SerializeToString() for frame in stream.frames]
            await host.end(signal.SIGKILL)
    async with host_at(short_path, repository) as (host, client):
        # Who has the end already, and comes back to acknowledge it.
        end = len(first.frames) + 1
        async with client.open(resume=pb.Resume(execution=execution_id(), after_sequence=end)) as last:
            await last.send(ack=pb.Ack(sequence=end))
            await last.call.done_writing()
            assert await last.receive() is None
        assert list((short_path / "data" / "attempts").iterdir()) == []
    whole = told[0]

    assert len(whole) == len(first.frames) + 1
    for after, frames in told.items():
        assert frames == whole[after:]


def afters(count: int) -> Iterator[tuple[int, ...]]:
    """Yields the numbers that the clients of two daemons have: the first one everything, the next ones less."""
    yield (count, 1)
    yield (0, count, 2)


async def test_attempts_that_are_removed_under_the_daemon_end_and_new_ones_begin(
    short_path: Path, repository: Path
) -> None:
    """Keeps I4: what nothing can be kept of any more ends all the same, instead of being asked for again and again."""
    async with host_at(short_path, repository) as (host, client):
        async with client.open(start=client.start_of("say last", "echo-input 1")) as stream:
            await stream.until_said("last")
            shutil.rmtree(short_path / "data" / "attempts")
            await stream.send(input=pb.Input(input_sequence=1, text="go on"))
            finished = await stream.finish()
        _, again = await client.run("say new", step="again")
        await host.end()

    assert finished.reason == "HOST_FILES_DAMAGED"
    assert again.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_a_start_whose_folder_cannot_be_made_is_refused_and_says_where(
    short_path: Path, repository: Path
) -> None:
    """Keeps I4: it is the disk that is in the way, not a defect of the daemon; and once it is out of the way, attempts begin."""
    attempts = short_path / "data" / "attempts"
    async with host_at(short_path, repository) as (host, client):
        attempts.rmdir()
        attempts.write_text("a file where the folder was\n")
        refused = await client.refused(client.start_of("say one", step="one"))
        attempts.unlink()
        _, again = await client.run("say two", step="two")
        await host.end()

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert str(attempts) in refused.message
    assert again.outcome == pb.Finished.OUTCOME_SUCCEEDED


@pytest.mark.long
async def test_what_is_no_attempt_in_the_folder_of_attempts_stops_no_daemon(short_path: Path, repository: Path) -> None:
    """Keeps I4: neither one that serves and clears away after an attempt, nor the next one that starts."""
    attempts = short_path / "data" / "attempts"
    async with host_at(short_path, repository) as (host, client):
        (attempts / "notes.txt").write_text("not an attempt\n")
        (attempts / "odd" / "lock").mkdir(parents=True)
        _, first = await client.run("say one", step="one")
        _, second = await client.run("say two", step="two")
        await host.end(signal.SIGKILL)
    async with host_at(short_path, repository) as (host, client):
        _, third = await client.run("say three", step="three")
        await host.end()

    assert [end.outcome for end in (first, second, third)] == [pb.Finished.OUTCOME_SUCCEEDED] * 3
