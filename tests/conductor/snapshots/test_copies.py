"""Copies of runs' snapshots in a blob store: any machine has them, none is half there, and none stays without a run."""

import errno
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from agenthost.api.snapshot_servicer import SnapshotServicer
from agenthost.snapshots.store import SnapshotStore as HostStore
from agenthost.v1 import snapshot_service_pb2_grpc as rpc
from conductor.blobs.folder import FolderBlobs
from conductor.errors import BlobsUnavailableError, NoCapacityError, SnapshotLostError
from conductor.hosts.snapshots import SnapshotLink, SnapshotPushError
from conductor.snapshots import SnapshotStore
from conductor.snapshots import store as snapshot_store
from conductor.snapshots.copies.names import Copy, Need, find_unneeded, read_copies, read_needs
from conductor.snapshots.scopes.scope import Scope, ScopeKind
from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.server import Server
from tests.kit.repositories import UserRepository, git, snapshot_content

pytestmark = pytest.mark.processes

A, B = 40 * "a", 40 * "b"


class Pool:
    """Machines that share a folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = FolderBlobs(folder / "blobs")
        self.epoch = 0

    async def takes_over(self) -> SnapshotStore:
        """Opens the snapshots of a conductor on another machine, in the next epoch."""
        self.epoch += 1
        epoch = self.epoch
        return await SnapshotStore.open(self.folder / f"machine-{epoch}", blobs=self.blobs, epoch=lambda: epoch)

    @property
    def objects(self) -> list[Path]:
        return sorted((self.folder / "blobs" / "snapshots").glob("*/*"))

    @property
    def needs(self) -> list[str]:
        return sorted(path.parent.name for path in (self.folder / "blobs" / "runs").glob("*/*"))

    def git_folder(self, epoch: int) -> Path:
        return self.folder / f"machine-{epoch}"


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


async def none_known(_: Collection[str]) -> frozenset[str]:
    return frozenset()


async def test_another_machine_has_the_snapshot_whole_and_the_users_folder_is_not_needed(
    pool: Pool, user: UserRepository
) -> None:
    """Keeps K15."""
    first = await pool.takes_over()
    user.write("src/app.py", "print('edited')\n")
    plan = await first.pin(user.folder)
    await first.keep("run-1", plan.commit)
    content = snapshot_content(pool.git_folder(1), plan.commit)
    shutil.rmtree(user.folder)
    shutil.rmtree(pool.git_folder(1))
    second = await pool.takes_over()

    assert await second.read_files(plan.commit, ["src/app.py"]) == {"src/app.py": b"print('edited')\n"}
    assert (await second.history(plan.commit)).commits[0] == plan.commit
    assert snapshot_content(pool.git_folder(2), plan.commit) == content
    assert await second.renew(plan)
    git(pool.git_folder(2), "fsck", "--full", "--strict")


async def test_a_cut_history_and_a_base_outside_of_it_come_along(
    pool: Pool, user: UserRepository, tmp_path: Path
) -> None:
    for number in range(4):
        user.write("n.txt", f"{number}\n")
        user.commit(f"number {number}")
    base = user.git("rev-parse", "HEAD~3").strip()
    epoch = pool.epoch = 1
    first = await SnapshotStore.open(pool.git_folder(1), history_commits=2, blobs=pool.blobs, epoch=lambda: epoch)
    pinned = await first.pin_scope(user.folder, scope=Scope(ScopeKind.DIFF, base_revision=base))
    plan = pinned.plan
    await first.keep("run-1", plan.commit, plan.base_commit)
    second = await pool.takes_over()

    assert plan.base_commit
    assert len(pool.objects) == 2
    assert await second.renew(plan)
    assert (await second.history(plan.commit)).shallow == (await first.history(plan.commit)).shallow
    git(pool.git_folder(2), "fsck", "--full", "--strict")


async def test_runs_over_one_snapshot_share_a_copy_and_the_last_of_them_takes_it_along(
    pool: Pool, user: UserRepository
) -> None:
    store = await pool.takes_over()
    plan = await store.pin(user.folder)
    for run in ("run-1", "run-2"):
        await store.keep(run, plan.commit)
    one = pool.objects
    await store.release("run-1")
    await store.prune()
    kept = pool.objects
    await store.release("run-2")
    await store.prune()

    assert len(one) == 1
    assert kept == one
    assert (pool.objects, pool.needs) == ([], [])


async def test_a_conductor_that_was_superseded_removes_nothing_that_its_successor_relies_on(
    pool: Pool, user: UserRepository
) -> None:
    old = await pool.takes_over()
    plan = await old.pin(user.folder)
    await old.keep("run-1", plan.commit)
    new = await pool.takes_over()
    await old.release("run-1")
    same = await new.pin(user.folder)
    await new.keep("run-2", same.commit)
    await old.prune()

    assert same.commit == plan.commit
    assert await (await pool.takes_over()).renew(plan)


async def test_what_a_killed_creation_left_goes_when_its_epoch_is_over(pool: Pool, user: UserRepository) -> None:
    first = await pool.takes_over()
    plan = await first.pin(user.folder)
    await first.keep("stored", plan.commit)
    user.write("other.txt", "x")
    other = await first.pin(user.folder)
    await first.keep("lost", other.commit)
    await first.tend_copies(none_known)  # in its own epoch each of them may yet become a run
    before = pool.needs
    second = await pool.takes_over()

    async def known(_: Collection[str]) -> frozenset[str]:
        return frozenset({"stored"})

    await second.tend_copies(known)

    assert before == ["lost", "stored"]
    assert pool.needs == ["stored"]
    assert [path.parent.name for path in pool.objects] == [plan.commit]


def wrong_byte(content: bytes) -> bytes:
    return content[:-30] + bytes([content[-30] ^ 1]) + content[-29:]


@pytest.mark.parametrize("harm", [lambda _: b"", lambda content: content[: len(content) // 2], wrong_byte])
async def test_a_damaged_copy_is_passed_over_and_told_when_it_is_the_last(
    pool: Pool, user: UserRepository, harm: object
) -> None:
    first = await pool.takes_over()
    plan = await first.pin(user.folder)
    await first.keep("run-1", plan.commit)
    (older,) = pool.objects
    second = await pool.takes_over()
    await second.pin(user.folder)
    await second.keep("run-2", plan.commit)
    newer = next(path for path in pool.objects if path != older)
    newer.write_bytes(harm(newer.read_bytes()))  # type: ignore[operator]

    assert await (await pool.takes_over()).renew(plan)

    older.write_bytes(harm(older.read_bytes()))  # type: ignore[operator]
    third = await pool.takes_over()
    with pytest.raises(SnapshotLostError, match="is damaged"):
        await third.read_files(plan.commit, ["README.md"])
    assert not list((pool.git_folder(4) / "copies").glob("*"))


async def test_a_copy_that_lies_about_its_commit_is_none(pool: Pool, user: UserRepository) -> None:
    first = await pool.takes_over()
    plan = await first.pin(user.folder)
    await first.keep("run-1", plan.commit)
    (path,) = pool.objects
    (path.parent.parent / A).mkdir()
    shutil.copy(path, path.parent.parent / A / path.name)

    with pytest.raises(SnapshotLostError):
        await (await pool.takes_over()).read_files(A, ["README.md"])


async def test_a_snapshot_without_a_copy_is_not_kept(pool: Pool, user: UserRepository) -> None:
    first = await pool.takes_over()
    plan = await first.pin(user.folder)

    assert not await (await pool.takes_over()).renew(plan)


async def test_a_full_disk_on_the_way_here_leaves_nothing_and_may_be_tried_again(
    pool: Pool, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await pool.takes_over()
    plan = await first.pin(user.folder)
    await first.keep("run-1", plan.commit)
    second = await pool.takes_over()

    async def full(name: str, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pool.blobs, "get", full)
        with pytest.raises(NoCapacityError):
            await second.renew(plan)
    assert not list((pool.git_folder(2) / "copies").glob("*"))
    assert await second.renew(plan)


async def test_a_store_of_blobs_that_is_away_refuses_the_run_and_keeps_nothing_half(
    pool: Pool, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await pool.takes_over()
    plan = await store.pin(user.folder)
    (pool.folder / "blobs").write_text("in the way")
    with pytest.raises(BlobsUnavailableError):
        await store.keep("run-1", plan.commit)
    (pool.folder / "blobs").unlink()
    await store.keep("run-1", plan.commit)

    assert len(pool.objects) == 1


def test_what_may_go_is_not_needed_or_the_third_of_its_commit_and_of_no_later_epoch() -> None:
    copies = [Copy(epoch, commit, "0") for commit, epochs in ((A, (1, 2, 3, 9)), (B, (2, 9))) for epoch in epochs]

    assert find_unneeded(copies, {A, B}, 5) == [Copy(2, A, "0"), Copy(1, A, "0")]
    assert set(find_unneeded(copies, {A}, 5)) == {Copy(2, A, "0"), Copy(1, A, "0"), Copy(2, B, "0")}
    assert find_unneeded(copies, set(), 1) == [Copy(1, A, "0")]


def test_only_names_of_ours_are_read_and_the_epoch_is_a_number() -> None:
    digest = 64 * "0"
    names = [f"snapshots/{A}/9-{digest}", f"snapshots/{A}/10-{digest}", f"snapshots/{A}/x-{digest}", "snapshots/readme"]

    assert max(read_copies(names)) == Copy(10, A, digest)
    assert [copy.name for copy in read_copies(names)] == names[:2]
    assert read_needs([f"runs/r-1/7-{B}", "runs/r-1/7", "runs/R/7-" + B]) == [Need("r-1", 7, B)]


async def test_the_folder_is_a_cache_that_drops_only_what_can_be_brought_again(
    pool: Pool, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = await SnapshotStore.open(pool.git_folder(1))
    before = await plain.pin(user.folder)
    await plain.keep("old", before.commit)
    pool.epoch = 1
    store = await SnapshotStore.open(pool.git_folder(1), blobs=pool.blobs, epoch=lambda: 1, cache_bytes=1)
    user.write("src/app.py", "print('edited')\n")
    after = await store.pin(user.folder)
    await store.keep("new", after.commit)
    user.write("src/app.py", "print('twice')\n")
    uncopied = await store.pin(user.folder)
    monkeypatch.setattr(snapshot_store, "RECENT_SECONDS", -1.0)
    await store.tend_copies(none_known)
    kept = git(pool.git_folder(1), "for-each-ref", "--format=%(objectname)").decode().split()

    assert pool.needs == ["new", "old"]  # what was there before it had a place for copies is copied, too
    assert kept == [uncopied.commit]
    monkeypatch.undo()
    for plan in (before, after):
        assert await store.renew(plan)


async def test_another_machine_pushes_the_snapshot_to_a_host(pool: Pool, user: UserRepository, tmp_path: Path) -> None:
    """Keeps K15: a standby that takes over pushes every snapshot."""
    first = await pool.takes_over()
    plan = await first.pin(user.folder)
    await first.keep("run-1", plan.commit)
    second = await pool.takes_over()
    host = await HostStore.open(tmp_path / "host")
    registrations = [(rpc.add_SnapshotServiceServicer_to_server, SnapshotServicer(host))]
    server = await Server.start(Address.parse(f"unix:{tmp_path}/host.sock"), registrations, service="agenthost")
    async with open_channel(server.target) as channel:
        link = SnapshotLink(channel, second)
        await link.ensure(plan.commit)
        with pytest.raises(SnapshotPushError) as caught:
            await link.ensure(A)
    await server.stop(0)

    assert (host.locate(plan.commit).tree / "README.md").exists()
    assert not caught.value.is_retryable


async def test_a_restart_stores_nothing_again(pool: Pool, user: UserRepository) -> None:
    async def all_known(runs: Collection[str]) -> Collection[str]:
        return runs

    first = await SnapshotStore.open(pool.git_folder(1), blobs=pool.blobs, epoch=lambda: 1)
    await first.keep("run-1", (await first.pin(user.folder)).commit)
    before = pool.objects
    for epoch in (2, 3):
        again = await SnapshotStore.open(pool.git_folder(1), blobs=pool.blobs, epoch=lambda: epoch)  # noqa: B023
        await again.tend_copies(all_known)

    assert (pool.objects, pool.needs) == (before, ["run-1"])
