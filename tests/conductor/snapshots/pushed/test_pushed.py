"""Snapshots that callers push: what is kept of them, and for how long. Keeps J5."""

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.config import Pushes
from conductor.errors import NoCapacityError, ProgramUnavailableError, SnapshotInvalidError
from conductor.snapshots.git import DiskFullError
from conductor.snapshots.pushed import caller_store
from conductor.snapshots.pushed.caller_store import CallerStore, Offer
from conductor.snapshots.pushed.store import PushedSnapshots
from tests.conductor.snapshots.pushed.pushing import UNKNOWN, left_of, push
from tests.kit.killed_git import KilledGit
from tests.kit.packs import history_pack, object_pack, written_pack
from tests.kit.repositories import UserRepository, snapshot_content

pytestmark = pytest.mark.processes


async def test_a_pushed_snapshot_is_found_by_its_caller_and_by_no_other(
    anna: CallerStore, ben: CallerStore, pushed: PushedSnapshots, user: UserRepository
) -> None:
    await push(anna, user.head, history_pack(user, user.head))

    assert (await anna.find(user.head)) is not None
    assert (await ben.find(user.head)) is None
    assert await ben.missing([user.head]) == [user.head]
    assert await anna.missing([user.head, UNKNOWN]) == [UNKNOWN]
    assert await pushed.find("certificate:ben", user.head, reads_all=False) is None
    assert await pushed.find("certificate:ben", user.head, reads_all=True) is not None
    assert left_of(ben) == []


async def test_a_second_push_builds_upon_the_first_and_is_small(anna: CallerStore, user: UserRepository) -> None:
    user.write("large.txt", "".join(f"line {number}\n" for number in range(20_000)))
    first = user.commit("large")
    await push(anna, first, history_pack(user, first))
    user.write("large.txt", "".join(f"line {number}\n" for number in range(20_001)))
    second = user.commit("larger")
    data = history_pack(user, second, f"^{first}")
    record = await push(anna, second, data)

    assert len(data) < 1000
    assert (record.file_count, record.byte_count > 100_000) == (3, True)
    assert snapshot_content(anna._folder, second) == snapshot_content(user.folder / ".git", second)


async def test_a_push_again_of_what_is_here_changes_nothing(anna: CallerStore, user: UserRepository) -> None:
    data = history_pack(user, user.head)
    first = await push(anna, user.head, data)
    second = await push(anna, user.head, data)

    assert (first.file_count, first.byte_count) == (second.file_count, second.byte_count)
    assert len(list((anna._folder / "objects" / "pack").glob("*.pack"))) == 1


async def test_a_snapshot_whose_objects_are_all_here_needs_an_empty_pack_only(
    anna: CallerStore, user: UserRepository
) -> None:
    first = user.head
    user.write("b", "b")
    second = user.commit("second")
    await push(anna, second, history_pack(user, second))

    assert (await push(anna, first, written_pack([]))).snapshot == first


async def test_a_history_may_be_cut_where_the_offer_says_so_and_nowhere_else(
    anna: CallerStore, user: UserRepository
) -> None:
    user.write("b", "b")
    user.commit("second")
    oids = user.git("rev-list", "--objects", "--no-object-names", "HEAD", "^HEAD~1").split()
    alone = object_pack(user, *oids, *user.git("rev-list", "--objects", "--no-object-names", "HEAD^{tree}").split())
    with pytest.raises(SnapshotInvalidError):
        await push(anna, user.head, alone)
    await push(anna, user.head, alone, shallow=(user.head,))

    assert (await anna.history(user.head)).commits == (user.head,)


async def test_commits_that_are_nowhere_do_not_count_as_cut(anna: CallerStore, user: UserRepository) -> None:
    made_up = tuple(f"{number:040x}" for number in range(1, 200))
    await push(anna, user.head, history_pack(user, user.head), shallow=made_up)

    assert anna._objects.shallow() == frozenset()


async def test_a_pack_goes_on_where_it_was_cut_and_a_wrong_digest_begins_anew(
    anna: CallerStore, user: UserRepository, pushed: PushedSnapshots
) -> None:
    data = history_pack(user, user.head)
    digest, half = hashlib.sha256(data).hexdigest(), len(data) // 2
    async with anna.receiving(digest, len(data)) as partial:
        partial.write(data[:half])
    restarted = await PushedSnapshots(pushed._folder).of("certificate:anna")
    async with restarted.receiving(digest, len(data)) as partial:
        assert partial.received_bytes == half
        partial.write(bytes(len(data) - half))
        with pytest.raises(SnapshotInvalidError, match="another digest"):
            await restarted.land(Offer(user.head), partial)
    async with restarted.receiving(digest, len(data)) as partial:
        assert partial.received_bytes == 0
        with pytest.raises(SnapshotInvalidError, match="longer"):
            partial.write(data + b"x")

    assert left_of(restarted) == []


async def test_callers_who_push_at_the_same_time_share_one_room(tmp_path: Path) -> None:
    both = PushedSnapshots(tmp_path / "pushed", Pushes(total_bytes=300_000))
    anna, ben = await both.of("anna"), await both.of("ben")
    async with anna.receiving("a" * 64, 100_000):
        with pytest.raises(NoCapacityError, match=r"pushes\.total_bytes"):
            async with ben.receiving("b" * 64, 100_000):
                pass
    async with ben.receiving("b" * 64, 100_000):
        pass


async def test_a_caller_has_so_much_room_and_the_disk_keeps_some(
    tmp_path: Path, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write("noise", os.urandom(100_000))
    data = history_pack(user, user.commit("noise"))
    small = await PushedSnapshots(tmp_path / "small", Pushes(caller_bytes=150_000)).of("anna")
    with pytest.raises(NoCapacityError, match=r"pushes\.caller_bytes is 150000"):
        await push(small, user.head, data)
    full = await PushedSnapshots(tmp_path / "full", Pushes(total_bytes=150_000)).of("anna")
    with pytest.raises(NoCapacityError, match=r"pushes\.total_bytes"):
        await push(full, user.head, data)
    free = await PushedSnapshots(tmp_path / "free").of("anna")
    monkeypatch.setattr(caller_store, "FREE_BYTES", 2**62)
    with pytest.raises(NoCapacityError, match="disk"):
        await push(free, user.head, data)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2M,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.long
async def test_a_full_disk_keeps_what_it_can_and_the_same_pack_is_taken_when_there_is_room(
    small_disk: Path, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_store, "FREE_BYTES", -(2**40))
    store = await PushedSnapshots(small_disk / "pushed").of("anna")
    user.write("noise", os.urandom(1_300_000))
    data = history_pack(user, user.commit("noise"))
    with pytest.raises(DiskFullError):
        await push(store, user.head, data)
    subprocess.run(["mount", "-o", "remount,size=8M", str(small_disk)], check=True)
    async with store.receiving(hashlib.sha256(data).hexdigest(), len(data)) as partial:
        assert partial.is_whole
        await store.land(Offer(user.head), partial)
    with pytest.raises(DiskFullError):
        await push(store, UNKNOWN, bytes(8_000_000))

    assert await store.find(user.head) is not None
    assert list((store._folder / "incoming").iterdir()) == []


async def test_two_packs_at_once_do_not_promise_the_same_room(tmp_path: Path) -> None:
    store = await PushedSnapshots(tmp_path / "pushed", Pushes(caller_bytes=300_000)).of("anna")
    async with store.receiving("a" * 64, 100_000):
        with pytest.raises(NoCapacityError):
            async with store.receiving("b" * 64, 100_000):
                pass


async def test_a_push_that_needs_room_gets_that_of_a_snapshot_which_was_not_used_for_an_hour(
    tmp_path: Path, user: UserRepository
) -> None:
    store = await PushedSnapshots(tmp_path / "pushed", Pushes(caller_bytes=280_000)).of("anna")
    user.write("noise", os.urandom(100_000))
    old = user.commit("noise")
    await push(store, old, history_pack(user, old))
    user.git("checkout", "-q", "--orphan", "other")
    user.write("noise", os.urandom(100_000))
    new = user.commit("other noise")
    with pytest.raises(NoCapacityError):
        await push(store, new, history_pack(user, new))
    store._records.touch(old, time.time() - caller_store.RECENT_SECONDS - 10)
    await push(store, new, history_pack(user, new))

    assert await store.find(old) is None
    assert await store.find(new) is not None


async def test_what_is_not_used_for_long_goes_and_what_is_used_stays(
    anna: CallerStore, pushed: PushedSnapshots, user: UserRepository
) -> None:
    old = user.head
    await push(anna, old, history_pack(user, old))
    user.git("checkout", "-q", "--orphan", "other")
    user.write("other.txt", "other")
    new = user.commit("other")
    await push(anna, new, history_pack(user, new))
    anna._records.touch(old, time.time() - pushed.keep_seconds - 10)
    (anna._incoming / f"{'d' * 64}.pack").write_bytes(b"x")
    os.utime(anna._incoming / f"{'d' * 64}.pack", (1, 1))
    await pushed.let_go()

    assert await anna.find(old) is None
    assert await anna.missing([old, new]) == [old]
    assert (await anna.find(new)) is not None
    assert list(anna._incoming.iterdir()) == []


@pytest.mark.long
async def test_a_damaged_store_is_emptied_and_filled_again(
    anna: CallerStore, pushed: PushedSnapshots, user: UserRepository
) -> None:
    await push(anna, user.head, history_pack(user, user.head))
    user.git("checkout", "-q", "--orphan", "other")
    await push(anna, user.commit("other"), history_pack(user, "HEAD"))
    for pack in (anna._folder / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"damaged")
    anna._records.touch(user.head, 1)
    await pushed.let_go()
    await push(anna, user.head, history_pack(user, user.head))

    assert (await anna.find(user.head)) is not None


async def test_leftovers_of_a_killed_conductor_go_at_its_next_start(
    anna: CallerStore, pushed: PushedSnapshots, user: UserRepository
) -> None:
    (anna._folder / "quarantine" / "x" / "objects").mkdir(parents=True)
    (anna._folder / "objects" / "pack" / "tmp_pack_x").write_bytes(b"x")
    restarted = await PushedSnapshots(pushed._folder).of("certificate:anna")

    assert left_of(restarted) == []


async def test_a_killed_git_is_no_fault_of_the_pack(
    anna: CallerStore, user: UserRepository, killed_git: KilledGit
) -> None:
    data = history_pack(user, user.head)
    killed_git.arm("index-pack")
    with pytest.raises(ProgramUnavailableError):
        await push(anna, user.head, data)

    async with anna.receiving(hashlib.sha256(data).hexdigest(), len(data)) as partial:
        assert partial.is_whole
        assert (await anna.land(Offer(user.head), partial)).snapshot == user.head
