"""Snapshots on their way from a workspace to a host, over a real socket. Keeps J1, J2 and J3."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from agenthost.api.snapshot_servicer import SnapshotServicer
from agenthost.errors import PreconditionError
from agenthost.snapshots.store import SnapshotPaths
from agenthost.snapshots.store import SnapshotStore as HostStore
from agenthost.v1 import snapshot_service_pb2 as pb
from agenthost.v1 import snapshot_service_pb2_grpc as rpc
from conductor.hosts.snapshots import Pushed, SnapshotLink, SnapshotPushError
from conductor.snapshots import SnapshotStore
from conductor.snapshots.storing import committed
from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.server import Server
from tests.kit.killed_git import KilledGit
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


@dataclass
class Way:
    """A conductor's store, a host's store, and the link between them."""

    conductor: SnapshotStore
    host: HostStore
    link: SnapshotLink
    channel: grpc.aio.Channel

    async def travel(self, folder: Path) -> Pushed:
        return await self.link.ensure((await self.conductor.pin(folder)).commit)

    def at(self, pushed: Pushed) -> SnapshotPaths:
        return self.host.locate(pushed.snapshot)


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    conductor = await SnapshotStore.open(tmp_path / "conductor" / "objects.git")
    host = await HostStore.open(tmp_path / "host" / "snapshots")
    registrations = [(rpc.add_SnapshotServiceServicer_to_server, SnapshotServicer(host))]
    server = await Server.start(Address.parse("127.0.0.1:0"), registrations, service="agenthost")
    async with open_channel(server.target) as channel:
        yield Way(conductor, host, SnapshotLink(channel, conductor), channel)
    await server.stop(1)


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    repository = UserRepository.make(tmp_path / "project")
    for number in range(20):
        repository.write(f"data/{number}.bin", os.urandom(20_000))
        repository.commit(f"number {number}")
    return repository


async def test_an_edit_after_the_pinning_is_unseen_by_the_host(way: Way, user: UserRepository) -> None:
    """Keeps J1."""
    user.write("src/app.py", "before\n")
    plan = await way.conductor.pin(user.folder)
    user.write("src/app.py", "after\n")
    await way.link.ensure(plan.commit)

    assert (way.host.locate(plan.commit).tree / "src" / "app.py").read_text() == "before\n"


async def test_a_second_push_ships_only_what_is_new(way: Way, user: UserRepository) -> None:
    """Keeps J2."""
    first = await way.travel(user.folder)
    again = await way.travel(user.folder)
    user.write("src/app.py", "print('edited')\n")
    edited = await way.travel(user.folder)
    user.commit("edited")
    committed = await way.travel(user.folder)

    assert first.pack_bytes > 400_000
    assert again == Pushed(first.snapshot)
    assert 0 < edited.pack_bytes < 1000
    assert 0 < committed.pack_bytes < 1000
    assert (way.at(committed).tree / "src" / "app.py").read_text() == "print('edited')\n"


async def test_an_uncommitted_file_travels_once(way: Way, user: UserRepository) -> None:
    """Keeps J2: the host has it from another snapshot, which is no ancestor of this one."""
    user.write("large.bin", os.urandom(300_000))
    first = await way.travel(user.folder)
    user.write("small.txt", "x")
    second = await way.travel(user.folder)

    assert first.pack_bytes > 300_000
    assert second.pack_bytes < 1000
    assert (way.at(second).tree / "large.bin").stat().st_size == 300_000


async def test_a_folder_without_git_travels_by_its_changes_too(way: Way, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "large.bin").write_bytes(os.urandom(300_000))
    first = await way.travel(plain)
    (plain / "small.txt").write_text("x")
    second = await way.travel(plain)

    assert first.pack_bytes > 300_000
    assert second.pack_bytes < 1000
    assert sorted(path.name for path in way.at(second).tree.iterdir()) == ["large.bin", "small.txt"]


async def test_history_arrives_and_is_whole(way: Way, user: UserRepository, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=5", f"file://{user.folder}", "shallow")
    shallow = await way.travel(tmp_path / "shallow")
    (tmp_path / "shallow" / "new.txt").write_text("new")
    on_top = await way.travel(tmp_path / "shallow")
    user.write("src/app.py", "newer\n")
    user.commit("newer")
    full = await way.travel(user.folder)

    # A snapshot on top tells the shallow clone from the whole repository.
    for pushed, commits in ((shallow, 6), (on_top, 6), (full, 22)):
        history = way.at(pushed).history
        assert git(history, "rev-list", "--count", "HEAD") == b"%d\n" % commits
        git(history, "fsck", "--full", "--strict")


async def test_the_users_repository_is_as_it_was(way: Way, user: UserRepository) -> None:
    """Keeps J3."""
    user.write("src/app.py", "edited\n")
    before = user.state()
    await way.travel(user.folder)

    assert user.state() == before


async def test_callers_at_once_share_one_push(way: Way, user: UserRepository) -> None:
    plan = await way.conductor.pin(user.folder)
    answers = await asyncio.gather(*(way.link.ensure(plan.commit) for _ in range(10)))

    assert sorted(answer.pack_bytes > 0 for answer in answers) == [False] * 9 + [True]


async def test_a_host_that_lost_its_disk_is_told_again(way: Way, user: UserRepository, tmp_path: Path) -> None:
    first = await way.travel(user.folder)
    (tmp_path / "host" / "snapshots" / first.snapshot).rename(tmp_path / "lost")
    second = await way.travel(user.folder)

    assert second.pack_bytes == first.pack_bytes


async def test_a_base_that_was_evicted_in_between_costs_a_whole_push(
    way: Way, user: UserRepository, tmp_path: Path
) -> None:
    class ForgetfulServicer(SnapshotServicer):
        async def FindMissing(self, request: pb.FindMissingRequest, context: object) -> pb.FindMissingResponse:  # noqa: N802
            return pb.FindMissingResponse()

    registrations = [(rpc.add_SnapshotServiceServicer_to_server, ForgetfulServicer(way.host))]
    server = await Server.start(Address.parse("127.0.0.1:0"), registrations, service="agenthost")
    plan = await way.conductor.pin(user.folder)
    async with open_channel(server.target) as channel:
        pushed = await SnapshotLink(channel, way.conductor).ensure(plan.commit)
    await server.stop(1)

    assert pushed.pack_bytes > 400_000
    assert (way.at(pushed).tree / "README.md").exists()


async def test_a_host_that_answers_before_the_end_of_the_pack_is_heard(way: Way, user: UserRepository) -> None:
    class HastyServicer(SnapshotServicer):
        async def FindMissing(self, request: pb.FindMissingRequest, context: object) -> pb.FindMissingResponse:  # noqa: N802
            return pb.FindMissingResponse()

        async def PushSnapshot(  # noqa: N802
            self, requests: AsyncIterator[pb.PushSnapshotRequest], context: object
        ) -> pb.PushSnapshotResponse:
            header = (await anext(requests)).header
            if header.bases:
                raise PreconditionError("BASE_MISSING", "the bases are not here")
            return pb.PushSnapshotResponse(snapshot=header.snapshot)

    registrations = [(rpc.add_SnapshotServiceServicer_to_server, HastyServicer(way.host))]
    server = await Server.start(Address.parse("127.0.0.1:0"), registrations, service="agenthost")
    plan = await way.conductor.pin(user.folder)
    async with open_channel(server.target) as channel:
        pushes = [await SnapshotLink(channel, way.conductor).ensure(plan.commit) for _ in range(20)]
    await server.stop(1)

    assert pushes == [Pushed(plan.commit)] * 20


async def test_a_snapshot_that_a_host_refuses_is_a_typed_error(
    way: Way, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of an older conductor, which pinned what no host takes."""
    monkeypatch.setattr(committed, "why_refused", lambda *_: "")
    blob = user.git("rev-parse", "HEAD:README.md").strip()
    raw = b"100644 ../escape\0" + bytes.fromhex(blob)
    tree = git(user.folder, "hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=raw).decode().strip()
    commit = user.git("commit-tree", "-m", "crafted", tree).strip()
    plan = await way.conductor.pin(user.folder, "commit", commit)
    with pytest.raises(SnapshotPushError) as caught:
        await way.link.ensure(plan.commit)

    assert (caught.value.reason, caught.value.is_retryable) == ("SNAPSHOT_INVALID", False)


# Which of them runs it is a matter of course: the conductor packs, both list commits, the host takes in and checks out.
@pytest.mark.parametrize("command", ["pack-objects", "rev-list", "index-pack", "ls-tree", "cat-file"])
async def test_a_push_for_which_a_git_was_killed_on_either_side_may_be_tried_again(
    command: str, way: Way, user: UserRepository, killed_git: KilledGit
) -> None:
    plan = await way.conductor.pin(user.folder)
    killed_git.arm(command)
    with pytest.raises(SnapshotPushError) as caught:
        await way.link.ensure(plan.commit)

    assert killed_git.has_killed
    assert (caught.value.reason, caught.value.is_retryable) == ("PROGRAM_UNAVAILABLE", True)
    assert (way.at(await way.link.ensure(plan.commit)).tree / "README.md").exists()


async def test_a_host_that_is_not_there_may_be_tried_again(way: Way, user: UserRepository, tmp_path: Path) -> None:
    plan = await way.conductor.pin(user.folder)
    async with open_channel(f"unix:{tmp_path}/absent") as channel:
        with pytest.raises(SnapshotPushError) as caught:
            await SnapshotLink(channel, way.conductor).ensure(plan.commit)

    assert (caught.value.reason, caught.value.is_retryable) == ("UNAVAILABLE", True)


async def test_a_snapshot_that_the_conductor_lost_is_a_typed_error(way: Way) -> None:
    with pytest.raises(SnapshotPushError) as caught:
        await way.link.ensure("1" * 40)

    assert not caught.value.is_retryable


async def test_a_push_that_breaks_off_can_simply_be_done_again(way: Way, user: UserRepository) -> None:
    plan = await way.conductor.pin(user.folder)
    call = rpc.SnapshotServiceStub(way.channel).PushSnapshot()
    await call.write(pb.PushSnapshotRequest(header=pb.SnapshotHeader(snapshot=plan.commit)))
    await call.write(pb.PushSnapshotRequest(chunk=b"PACK"))
    call.cancel()
    pushed = await way.link.ensure(plan.commit)

    assert (way.at(pushed).tree / "README.md").exists()


REFUSED = {
    "no header": ([pb.PushSnapshotRequest(chunk=b"x")], "header: must come first"),
    "nothing": ([], "header: must come first"),
    "two headers": (
        [pb.PushSnapshotRequest(header=pb.SnapshotHeader(snapshot="1" * 40))] * 2,
        "header: must come once",
    ),
    "a bad id": ([pb.PushSnapshotRequest(header=pb.SnapshotHeader(snapshot="../x"))], "40 hexadecimal digits"),
    "a bad base": (
        [pb.PushSnapshotRequest(header=pb.SnapshotHeader(snapshot="1" * 40, bases=["x"]))],
        "header.bases: must be at most",
    ),
    "a large chunk": (
        [
            pb.PushSnapshotRequest(header=pb.SnapshotHeader(snapshot="1" * 40)),
            pb.PushSnapshotRequest(chunk=b"x" * (1024 * 1024 + 1)),
        ],
        "chunk: must be at most 1048576 bytes",
    ),
}


@pytest.mark.parametrize("how", REFUSED)
async def test_a_push_out_of_form_is_refused_with_its_field(how: str, way: Way) -> None:
    messages, text = REFUSED[how]
    with pytest.raises(grpc.aio.AioRpcError, match=text) as caught:
        await rpc.SnapshotServiceStub(way.channel).PushSnapshot(iter(messages))

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_too_many_questions_at_once_are_refused(way: Way) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="at most 1000") as caught:
        await rpc.SnapshotServiceStub(way.channel).FindMissing(pb.FindMissingRequest(commits=["1" * 40] * 1001))

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def tangled(folder: Path, chance: random.Random) -> list[str]:
    """A repository of many merges, as its commits' ids."""
    folder.mkdir()
    git(folder, "init", "-q")
    lines = []
    for mark in range(1, 61):
        parents = chance.sample(range(1, mark), k=min(mark - 1, chance.choice((1, 1, 1, 2, 3))))
        lines.append(f"commit refs/heads/c{mark}\nmark :{mark}\ncommitter A <a@b> {1700000000 + mark} +0000\ndata 1\nx")
        lines += [f"{'merge' if number else 'from'} :{parent}" for number, parent in enumerate(parents)]
        lines.append(f"M 100644 inline f{chance.randrange(9)}\ndata 3\n{mark:3}\n")
    git(folder, "fast-import", "--quiet", stdin="\n".join(lines).encode())
    return [git(folder, "rev-parse", f"c{mark}").decode().strip() for mark in range(1, 61)]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_a_host_has_a_bounded_history_arrives_whole(way: Way, tmp_path: Path, seed: int) -> None:
    """Keeps J2: every state of both stores is one that earlier snapshots, cut elsewhere, left behind."""
    chance = random.Random(seed)
    commits = tangled(tmp_path / "tangled", chance)
    for limit in chance.choices((1, 3, 8, 20, 100), k=8):
        conductor = await SnapshotStore.open(tmp_path / "conductor" / "objects.git", history_commits=limit)
        plan = await conductor.pin(tmp_path / "tangled", "commit", chance.choice(commits))
        known = (await way.host.find_missing([plan.commit])).checked_out
        await SnapshotLink(way.channel, conductor).ensure(plan.commit)
        history = way.host.locate(plan.commit).history

        git(history, "fsck", "--full", "--strict")
        assert known or int(git(history, "rev-list", "--count", "HEAD")) == len(
            (await conductor.history(plan.commit)).commits
        )
