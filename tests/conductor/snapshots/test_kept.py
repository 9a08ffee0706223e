"""A store of snapshots: what it keeps, for which runs, and how it is read. Keeps J1 and J3."""

import asyncio
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from conductor.snapshots import SnapshotStore
from conductor.snapshots.git import Git
from conductor.snapshots.storing import objects
from conductor.snapshots.storing.commit_writer import CommitWriter
from conductor.snapshots.storing.contents import NoContent
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository, git
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


async def test_files_are_read_by_path_and_only_files(store: SnapshotStore, user: UserRepository) -> None:
    (user.folder / "link").symlink_to("README.md")
    user.write("big.txt", "x" * 100)
    user.write("name with ünicode", "u")
    plan = await store.pin(user.folder)
    paths = ["README.md", "src", "link", "big.txt", "name with ünicode", "nothing", "../README.md", "/README.md"]
    paths += ["", ".", "src/../README.md", "src/", "a\nb", "a\0b", "*", ":/README.md", "-r", "\ud800"]
    found = await store.read_files(plan.commit, paths, max_bytes_each=50)

    assert list(found) == paths
    assert {path: data for path, data in found.items() if data is not NoContent.NOTHING_THERE} == {
        "README.md": b"# A project\n",
        "name with ünicode": b"u",
        "src": NoContent.NO_REGULAR_FILE,
        "link": NoContent.NO_REGULAR_FILE,
        "big.txt": NoContent.TOO_LARGE,
    }


async def test_hundreds_of_files_are_read_at_once(store: SnapshotStore, user: UserRepository) -> None:
    """Enough to fill every pipe between the two sides."""
    for number in range(900):
        user.write(f"many/{number}.txt", f"{number}" * 300)
    plan = await store.pin(user.folder)
    paths = [f"many/{number}.txt" for number in range(900)]

    assert await store.read_files(plan.commit, paths) == {
        f"many/{number}.txt": f"{number}".encode() * 300 for number in range(900)
    }


async def test_locks_of_a_git_that_was_killed_stop_no_other_after_a_restart(
    user: UserRepository, tmp_path: Path
) -> None:
    """I6: a power cut in the middle of a pin must not make every later one fail."""
    store = await SnapshotStore.open(tmp_path / "data" / "objects.git")
    await store.pin(user.folder)
    user.write("src/new.py", "changed = True\n")
    folder = tmp_path / "data" / "objects.git"
    refs = [path for path in (folder / "refs").rglob("*") if path.is_file()]
    for path in (*refs, folder / "packed-refs", folder / "shallow"):
        path.with_name(f"{path.name}.lock").touch()

    store = await SnapshotStore.open(folder)
    plan = await store.pin(user.folder)

    assert content(tmp_path, plan.commit)[b"src/new.py"] == ("100644", b"changed = True\n")


async def test_a_run_keeps_its_snapshot_until_it_lets_go(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    plan = await store.pin(user.folder)
    for _ in range(2):
        await store.keep("run1", plan.commit)
    kept = git(tmp_path / "data" / "objects.git", "rev-parse", "refs/runs/run1").decode().strip()
    for _ in range(2):
        await store.release("run1")

    assert kept == plan.commit
    assert git(tmp_path / "data" / "objects.git", "for-each-ref", "refs/runs") == b""


async def test_snapshots_of_runs_that_do_not_exist_are_let_go_and_no_others(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """A creation that was killed on its way kept one; whether there is such a run, only the database knows."""
    plan = await store.pin(user.folder)
    for run in ("finished", "killed", "ongoing", "cancelled"):
        await store.keep(run, plan.commit)

    async def known(runs: Collection[str]) -> Collection[str]:
        assert set(runs) == {"finished", "killed", "ongoing", "cancelled"}
        return {"finished", "ongoing"}

    await store.sweep(known)
    refs = git(tmp_path / "data" / "objects.git", "for-each-ref", "--format=%(refname)").decode().split()

    assert refs[:2] == ["refs/runs/finished", "refs/runs/ongoing"]
    assert refs[2].startswith("refs/workspaces/")


async def test_what_a_cancelled_pinning_wrote_is_gone_when_no_git_writes_any_more(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs = tmp_path / "data" / "objects.git" / "objects" / "pack"
    other = UserRepository.make(tmp_path / "other", **{"large.bin": "x" * 100_000}).folder
    user.write("large.bin", os.urandom(200_000))
    written, go = asyncio.Event(), asyncio.Event()
    real = CommitWriter.commit

    async def held(writer: CommitWriter, *args: Any, **keywords: Any) -> str:
        if not go.is_set():
            await until(lambda: any(path.stat().st_size > 100_000 for path in packs.glob("tmp_*")))
            written.set()
            await go.wait()
        return await real(writer, *args, **keywords)

    monkeypatch.setattr(CommitWriter, "commit", held)
    cancelled = asyncio.ensure_future(store.pin(user.folder))
    await written.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    assert not list(packs.glob("tmp_*"))
    go.set()
    assert (await store.pin(other)).commit
    assert (await store.read_files((await store.pin(user.folder)).commit, ["README.md"]))["README.md"]


async def test_the_lock_of_a_git_at_work_is_left_alone_when_another_is_stopped(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await store.pin(user.folder)
    lock = tmp_path / "data" / "objects.git" / "refs" / "runs.lock"
    at_work, go = asyncio.Event(), asyncio.Event()
    real = Git.run

    async def held(repository: Git, *args: str, **keywords: Any) -> bytes:
        lock.touch()
        at_work.set()
        await go.wait()
        return await real(repository, *args, **keywords)

    monkeypatch.setattr(Git, "run", held)
    keeping = asyncio.ensure_future(store.keep("run1", plan.commit))
    await at_work.wait()
    with pytest.raises(asyncio.CancelledError):
        async with store._objects.importing():
            raise asyncio.CancelledError
    before = lock.exists()
    go.set()
    await keeping

    assert before
    assert not lock.exists()
    assert (tmp_path / "data" / "objects.git" / "refs" / "runs" / "run1").read_text().strip() == plan.commit


async def test_a_store_that_is_opened_again_is_tidied_and_forgets_nothing(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{user.folder}", "shallow")
    plans = [await store.pin(tmp_path / "shallow")]
    for number in range(4):
        user.write("src/app.py", f"{number}\n")
        user.commit(f"number {number}")
        plans.append(await store.pin(user.folder))
    packs = tmp_path / "data" / "objects.git" / "objects" / "pack"
    (packs / "tmp_pack_x").write_text("a crash")
    (packs.parent.parent / "fast_import_crash_7").write_text("a report")
    monkeypatch.setattr(objects, "MAX_PACKS", 1)
    before = len(list(packs.glob("*.pack")))
    again = await SnapshotStore.open(tmp_path / "data" / "objects.git")

    assert before > len(list(packs.glob("*.pack")))
    assert not list(packs.glob("tmp_*"))
    assert not list(packs.parent.parent.glob("fast_import_crash_*"))
    assert [(await again.read_files(plan.commit, ["README.md"]))["README.md"] for plan in plans] == [
        b"# A project\n"
    ] * 5
    assert await again.pin(user.folder) == plans[-1]
