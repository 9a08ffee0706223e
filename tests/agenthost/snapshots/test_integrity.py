"""Writes into snapshots, as root of the host, and checks what becomes of attempts and snapshots. With real agents."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agenthost.attempt.process import AttemptProcess
from agenthost.host import preparation
from agenthost.snapshots import integrity
from agenthost.snapshots.integrity import SnapshotIntegrity
from agenthost.snapshots.store import SnapshotStore
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import snapshot_service_pb2, snapshot_service_pb2_grpc
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.packs import push
from tests.agenthost.running_host import Client, open_host, push_snapshot
from tests.kit.killed_git import KilledGit
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes


def tree(client: Client) -> Path:
    return client.data / "snapshots" / client.snapshot / "tree"


def edit(place: Path) -> None:
    """One letter, with the times put back."""
    path = place / "README.md"
    status = path.stat()
    path.chmod(0o644)
    path.write_text(path.read_text().replace("Hello", "Jello"))
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(place: Path) -> None:
    os.utime(place / "README.md")


def add(place: Path) -> None:
    place.chmod(0o755)
    (place / "planted").write_text("")
    place.chmod(0o555)


def remove(place: Path) -> None:
    place.chmod(0o755)
    (place / "README.md").unlink()
    place.chmod(0o555)


def plant_door(place: Path) -> None:
    place.chmod(0o755)
    os.mkfifo(place / "door")
    place.chmod(0o555)


async def is_missing(client: Client) -> bool:
    stub = snapshot_service_pb2_grpc.SnapshotServiceStub(client.channel)
    found = await stub.FindMissing(snapshot_service_pb2.FindMissingRequest(commits=[client.snapshot]))
    return list(found.missing) == [client.snapshot] and not found.checked_out


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (edit, "'README.md' is not what it was"),
        (touch, "its contents are right, but it was touched"),
        (add, "'planted' was added"),
        (remove, "'README.md' is gone"),
        (plant_door, "'door' was added"),
    ],
)
async def test_a_planted_change_ends_all_who_read_the_snapshot(
    client: Client, plant: Callable[[Path], None], words: str
) -> None:
    """Keeps E7: two that would run on, and the one whose end brings it to light."""
    async with contextlib.AsyncExitStack() as stack:
        hanging = [
            await stack.enter_async_context(client.open(start=client.start_of("say ready", "hang", step=step)))
            for step in ("one", "two")
        ]
        ending = await stack.enter_async_context(
            client.open(start=client.start_of("say ready", "echo-input 1", step="three"))
        )
        for conversation in (*hanging, ending):
            await conversation.until_said("ready")
        plant(tree(client))
        await ending.send(input=pb.Input(input_sequence=1, text="end"))
        ends = [await conversation.finish() for conversation in (ending, *hanging)]

    assert {(end.outcome, end.reason) for end in ends} == {(pb.Finished.OUTCOME_FAILED, "READ_ONLY_VIOLATION")}
    assert all(words in end.message for end in ends)
    assert all(end.attestation.checks[-1] == f"snapshot: changed: {words}" for end in ends)
    assert ends[0].attestation.snapshot_fingerprint_before != ends[0].attestation.snapshot_fingerprint_after
    assert await is_missing(client)
    assert (await client.refused(client.start_of("say x", step="late"))).reason == "SNAPSHOT_MISSING"
    assert len(client.spawns()) == 3


async def test_a_change_is_seen_while_every_agent_goes_on_reading(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps E7: no reader comes, and none leaves."""
    monkeypatch.setattr(integrity, "LOOK_SECONDS", 0.05)
    async with (
        open_host(short_path, repository) as client,
        client.open(start=client.start_of("say ready", "hang")) as conversation,
    ):
        await conversation.until_said("ready")
        edit(tree(client))
        finished = await conversation.finish()

    assert finished.reason == "READ_ONLY_VIOLATION"
    assert "'README.md' is not what it was" in finished.message


async def test_a_snapshot_that_was_given_up_is_pushed_anew_and_read_again(client: Client, repository: Path) -> None:
    """Keeps E7."""
    async with client.open(start=client.start_of("say ready", "echo-input 1")) as conversation:
        await conversation.until_said("ready")
        edit(tree(client))
        await conversation.send(input=pb.Input(input_sequence=1, text="end"))
        await conversation.finish()
    await push_snapshot(client.channel, repository)
    conversation, finished = await client.run("read README.md", step="again")

    assert "# Hello" in conversation.said("answer")
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert finished.attestation.checks[-1] == "snapshot: the same before and after"


async def test_a_change_while_no_agent_reads_refuses_the_next_start_before_anything_is_spawned(client: Client) -> None:
    """Keeps E7 and E2."""
    edit(tree(client))
    refusal = await client.refused(client.start_of("say x"))

    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "SNAPSHOT_MISSING")
    assert "was changed on this host's disk" in refusal.message
    assert client.spawns() == []
    assert await is_missing(client)


async def test_a_data_directory_that_was_moved_holds_the_same_snapshots(client: Client) -> None:
    """Keeps E7: no agent read it, and contents are right."""
    touch(tree(client))
    _, finished = await client.run("say x")

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_a_change_between_check_and_start_refuses_with_nothing_run(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps E7 and E2: the shim looks again with the gate still closed."""

    class Meddled(AttemptProcess):
        @classmethod
        async def spawn(cls, *arguments: Any) -> Any:
            edit(tree(client))
            return await AttemptProcess.spawn(*arguments)

    monkeypatch.setattr(preparation, "AttemptProcess", Meddled)
    _, finished = await client.run("say x")

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_REFUSED, "SNAPSHOT_CHANGED")
    assert "Try again" in finished.message
    assert client.spawns() == []
    assert await is_missing(client)


async def test_a_violation_is_told_in_the_same_words_after_a_restart(short_path: Path, repository: Path) -> None:
    """Keeps E7 and I3: also when the snapshot was pushed again meanwhile."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of("say ready", "echo-input 1")
        async with client.open(start=start) as conversation:
            await conversation.until_said("ready")
            edit(tree(client))
            await conversation.send(input=pb.Input(input_sequence=1, text="end"))
            first = await conversation.until(lambda frame: frame.HasField("finished"))
        await host.end(9)
    async with (
        serving(data, listen) as again,
        client_of(again, data, repository) as client,
        client.open(resume=pb.Resume(execution=start.execution)) as conversation,
    ):
        second = await conversation.until(lambda frame: frame.HasField("finished"))

    assert first.finished.reason == "READ_ONLY_VIOLATION"
    assert second.SerializeToString() == first.SerializeToString()


async def test_many_who_leave_at_once_agree(client: Client) -> None:
    steps = [f"s{number}" for number in range(client.host.settings.slots)]
    results = await asyncio.gather(*(client.run("say x", step=step) for step in steps))

    assert {finished.outcome for _, finished in results} == {pb.Finished.OUTCOME_SUCCEEDED}


async def test_a_snapshot_that_cannot_be_set_aside_is_looked_at_once_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "SHORTAGE_PAUSE_SECONDS", 0.0)
    user = UserRepository.make(tmp_path / "project")
    user.write("README.md", b"Hello")
    user.commit("greets")
    store = await SnapshotStore.open(tmp_path / "snapshots")
    await push(store, user, user.head)
    edit(store.locate(user.head).folder / "tree")
    incoming = tmp_path / "snapshots" / ".incoming"
    incoming.rmdir()
    incoming.write_text("in the way")

    with capture_logs() as logs, pytest.raises(NotADirectoryError):
        await SnapshotIntegrity(store).admit(user.head, Unconcerned())

    assert [line["event"] for line in logs].count("snapshot_not_looked_at") == 1


async def test_a_snapshot_is_not_taken_for_damaged_because_the_program_that_reads_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "SHORTAGE_PAUSE_SECONDS", 0.0)
    user = UserRepository.make(tmp_path / "project")
    store = await SnapshotStore.open(tmp_path / "snapshots")
    await push(store, user, user.head)
    touch(store.locate(user.head).tree)
    git = KilledGit(tmp_path / "programs", monkeypatch)
    git.arm("ls-tree")

    with capture_logs() as logs:
        paths, _ = await SnapshotIntegrity(store).admit(user.head, Unconcerned())

    assert git.has_killed
    assert paths == store.locate(user.head)
    assert [line["event"] for line in logs] == ["snapshot_not_looked_at", "snapshot_touched"]


class Unconcerned:
    """A reader that never gets to read."""

    violation = ""

    def violate(self, text: str) -> None:
        raise AssertionError(text)
