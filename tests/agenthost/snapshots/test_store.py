"""Pushes packs to a host. Keeps J2 (host's side), J3 and the snapshot part of E7."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agenthost.errors import NoCapacityError
from agenthost.snapshots.packs import Offer
from agenthost.snapshots.store import SnapshotStore
from tests.agenthost.packs import pack, pieces, push
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def test_a_snapshot_is_checked_out_as_it_is_and_cannot_be_written(
    store: SnapshotStore, user: UserRepository
) -> None:
    ready = await store.receive(Offer(user.head), pieces(pack(user, user.head)))
    place = store.locate(user.head)

    assert (ready.snapshot, ready.file_count) == (user.head, 5)
    assert ready.byte_count == len("# A project\nprint('hello')\n#!/bin/sh\n/etc/passwd") + 200_000
    assert (place.tree / "src" / "app.py").read_text() == "print('hello')\n"
    assert (place.tree / "link").readlink() == Path("/etc/passwd")
    assert {name: mode(place.tree / name) for name in (".", "src", "src/app.py", "run.sh")} == {
        ".": 0o555,
        "src": 0o555,
        "src/app.py": 0o444,
        "run.sh": 0o555,
    }
    assert mode(store._folder) == 0o700


async def test_an_agents_git_works_on_it(store: SnapshotStore, user: UserRepository) -> None:
    await push(store, user, user.head)
    place = store.locate(user.head)
    arguments = ("--git-dir", str(place.history), "--work-tree", str(place.tree))

    assert git(place.tree, *arguments, "status", "--porcelain") == b""
    assert git(place.tree, *arguments, "grep", "-l", "hello") == b"src/app.py\n"
    assert git(place.tree, *arguments, "log", "--format=%s") == b"second\nfirst\n"
    assert git(place.tree, *arguments, "diff", "--stat", "HEAD~1", "--", "run.sh")


async def test_its_history_is_readable_by_others_has_no_hooks_and_no_way_back(
    store: SnapshotStore, user: UserRepository
) -> None:
    await push(store, user, user.head)
    history = store.locate(user.head).history
    files = [path for path in history.rglob("*") if path.is_file()]

    assert all(mode(path) == 0o444 for path in files)
    assert all(mode(path) == 0o555 for path in history.rglob("*") if path.is_dir())
    assert not (history / "hooks").exists()
    assert str(user.folder) not in "".join(path.read_text() for path in files if path.name in {"config", "HEAD"})
    assert (history / "HEAD").read_text() == f"{user.head}\n"


async def test_a_snapshot_that_is_here_is_answered_without_reading(store: SnapshotStore, user: UserRepository) -> None:
    first = await store.receive(Offer(user.head), pieces(pack(user, user.head)))

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the pack was read")
        yield b""

    assert await store.receive(Offer(user.head), never()) == first


async def test_a_thin_pack_builds_upon_another_snapshot_and_stands_alone_afterwards(
    store: SnapshotStore, user: UserRepository
) -> None:
    """Keeps J2."""
    base = user.head
    await push(store, user, base)
    user.write("src/app.py", "print('hello again')\n")
    changed = user.commit("third")
    assert await push(store, user, changed, base) < 1000

    history = store.locate(changed).history
    await asyncio.to_thread(store.locate(base).history.parent.rename, store._folder / "gone")
    assert not (history / "objects" / "info" / "alternates").exists()
    git(history, "fsck", "--full", "--strict")
    assert (store.locate(changed).tree / "src" / "app.py").read_text() == "print('hello again')\n"


async def test_a_history_holds_nothing_of_the_snapshot_that_it_was_built_upon(
    store: SnapshotStore, user: UserRepository
) -> None:
    trunk = user.head
    user.write("secret.txt", "uncommitted secret")
    sibling = user.commit("sibling")
    await push(store, user, sibling)
    user.git("reset", "-q", "--hard", trunk)
    user.write("other.txt", "other")
    snapshot = user.commit("other")
    await push(store, user, snapshot, trunk)
    listing = git(store.locate(snapshot).history, "cat-file", "--batch-check", "--batch-all-objects").decode()

    assert snapshot in listing
    assert sibling not in listing
    assert git(user.folder, "rev-parse", f"{sibling}:secret.txt").decode().strip() not in listing


async def test_a_commit_inside_another_history_can_be_checked_out_from_an_empty_pack(
    store: SnapshotStore, user: UserRepository
) -> None:
    first = user.git("rev-parse", "HEAD~1").strip()
    await push(store, user, user.head)
    found = await store.find_missing([first, user.head, "0" * 40])
    assert (found.missing, found.checked_out) == (("0" * 40,), (user.head,))

    await push(store, user, first, first)
    assert sorted(path.name for path in store.locate(first).tree.iterdir()) == ["README.md", "src"]


async def test_a_bounded_history_is_whole_up_to_its_boundary(store: SnapshotStore, user: UserRepository) -> None:
    data = pack(user, f"--shallow {user.head}", user.head)
    await store.receive(Offer(user.head, shallow=(user.head,)), pieces(data))

    assert git(store.locate(user.head).history, "log", "--format=%s") == b"second\n"


async def test_large_files_are_checked_out_piece_by_piece(store: SnapshotStore, user: UserRepository) -> None:
    content = os.urandom(1024) * 9000
    user.write("large.bin", content)
    await push(store, user, user.commit("large"))

    assert (store.locate(user.head).tree / "large.bin").read_bytes() == content


async def test_of_pushes_at_once_one_wins_and_all_are_answered(store: SnapshotStore, user: UserRepository) -> None:
    data = pack(user, user.head)
    gate = asyncio.Event()
    waiting = 0

    async def held() -> AsyncIterator[bytes]:
        nonlocal waiting
        waiting += 1
        if waiting == 3:
            gate.set()
        await gate.wait()
        yield data

    answers = await asyncio.gather(*(store.receive(Offer(user.head), held()) for _ in range(3)))

    assert answers[0] == answers[1] == answers[2]
    assert list((store._folder / ".incoming").iterdir()) == []


async def test_too_many_pushes_at_once_are_told_to_come_later(store: SnapshotStore, user: UserRepository) -> None:
    data = pack(user, user.head)
    go = asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        await go.wait()
        yield data

    async with asyncio.TaskGroup() as group:
        pushes = [group.create_task(store.receive(Offer(user.head), held())) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(NoCapacityError):
            await store.receive(Offer(user.head), pieces(data))
        go.set()

    assert len({push.result() for push in pushes}) == 1


async def test_a_push_that_is_cancelled_leaves_nothing(store: SnapshotStore, user: UserRepository) -> None:
    started = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield pack(user, user.head)[:1000]
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(store.receive(Offer(user.head), stuck()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert list((store._folder / ".incoming").iterdir()) == []


async def test_leftovers_are_removed_at_start_and_snapshots_stay(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Keeps J3."""
    await push(store, user, user.head)
    half = store._folder / ".incoming" / f"{user.head}-half"
    (half / "tree" / "src").mkdir(parents=True)
    (half / "tree" / "src" / "a").write_text("x")
    (half / "tree" / "out").symlink_to(user.folder)
    (half / "tree" / "src").chmod(0o555)
    (half / "tree").chmod(0o555)
    again = await SnapshotStore.open(store._folder)

    assert list((store._folder / ".incoming").iterdir()) == []
    assert again.locate(user.head).tree.is_dir()
    assert (user.folder / "README.md").exists()


def change_content(place: Path) -> None:
    path = place / "README.md"
    status = path.stat()
    path.chmod(0o644)
    path.write_text("# a Project\n")
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_file(place: Path) -> None:
    place.chmod(0o755)
    (place / "new").write_bytes((place / "README.md").read_bytes())
    (place / "new").chmod(0o444)
    (place / "new").replace(place / "README.md")
    place.chmod(0o555)


def add_file(place: Path) -> None:
    (place / "src").chmod(0o755)
    (place / "src" / "planted").write_text("")
    (place / "src").chmod(0o555)


def change_mode(place: Path) -> None:
    (place / "run.sh").chmod(0o755)


def change_link(place: Path) -> None:
    place.chmod(0o755)
    (place / "link").unlink()
    (place / "link").symlink_to("/etc/shadow")
    place.chmod(0o555)


@pytest.mark.parametrize("plant", [change_content, replace_file, add_file, change_mode, change_link])
async def test_a_planted_change_is_seen(
    plant: Callable[[Path], None], store: SnapshotStore, user: UserRepository
) -> None:
    """Keeps E7: sizes and times put back do not hide it."""
    ready = await store.receive(Offer(user.head), pieces(pack(user, user.head)))
    before = await store.fingerprint(user.head)
    assert before == ready.fingerprint == await store.fingerprint(user.head)

    plant(store.locate(user.head).tree)
    assert await store.fingerprint(user.head) != before


async def test_reading_does_not_count_as_a_change(store: SnapshotStore, user: UserRepository) -> None:
    await push(store, user, user.head)
    before = await store.fingerprint(user.head)
    for path in store.locate(user.head).tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.read_bytes()

    assert await store.fingerprint(user.head) == before
