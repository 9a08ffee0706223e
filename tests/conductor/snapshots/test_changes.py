"""Changes of a user's own tree since it was pinned: every one is seen, and nothing else is. Keeps B14 and E7."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest

from conductor.core.model.events.event_parts import WorkspaceChanges
from conductor.core.model.plan import SnapshotPlan
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.reading import changes, working_tree
from conductor.snapshots.roots import WorkspaceRoots
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes

UNCHANGED = WorkspaceChanges()


async def since(store: SnapshotStore, folder: Path, plan: SnapshotPlan) -> WorkspaceChanges:
    told = await store.changes(str(folder), WorkspaceMode.WORKING_TREE, plan)
    assert told is not None
    return told


def plain(user: UserRepository) -> Path:
    shutil.rmtree(user.folder / ".git")
    return user.folder


def with_uncommitted_changes(user: UserRepository) -> Path:
    user.write("src/app.py", "changed\n")
    user.write("new.txt", "new\n")
    (user.folder / "README.md").unlink()
    return user.folder


def with_much_left_out(user: UserRepository) -> Path:
    user.write("large.bin", "x" * 5000)
    user.write(".GIT/config", "[core]")
    os.mkfifo(user.folder / "fifo")
    UserRepository.make(user.folder / "nested")
    return user.folder


def folder_inside(user: UserRepository) -> Path:
    return user.folder / "src"


def ignored_folder(user: UserRepository) -> Path:
    user.write(".gitignore", "build/\n")
    return user.write("build/out.txt", "x").parent


def sparse(user: UserRepository) -> Path:
    user.write("other/b.txt", "b")
    user.commit("two folders")
    user.git("sparse-checkout", "set", "src")
    return user.folder


def with_a_submodule(user: UserRepository) -> Path:
    inner = UserRepository.make(user.folder.parent / "inner")
    user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.folder), "vendor/inner")
    return user.folder


def whose_modes_mean_nothing(user: UserRepository) -> Path:
    user.git("config", "core.fileMode", "false")
    user.write("README.md", "# A project\n").chmod(0o755)
    return user.folder


def without_commits(user: UserRepository) -> Path:
    git(plain(user), "init", "-q")
    return user.folder


KINDS = [
    plain,
    with_uncommitted_changes,
    with_much_left_out,
    folder_inside,
    ignored_folder,
    sparse,
    with_a_submodule,
    whose_modes_mean_nothing,
    without_commits,
]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_tree_that_was_not_touched_is_unchanged(
    kind: Callable[[UserRepository], Path],
    store: SnapshotStore,
    user: UserRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(working_tree, "MAX_FILE_BYTES", 4000)
    folder = kind(user)
    plan = await store.pin(folder)
    before = await since(store, folder, plan)
    (folder / "new in mid-run").write_text("x")

    assert before == UNCHANGED
    assert await since(store, folder, plan) == WorkspaceChanges(1, ("new in mid-run",))


def put_back(path: Path, content: str) -> None:
    """Changes a file as one who hides it would: same size, same times."""
    status = path.stat()
    assert len(content) == status.st_size
    path.write_text(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def point_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/shadow")


def become_special(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def appear(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("x")


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "another size": ("src/app.py", lambda path: path.write_text("longer than it was before")),
    "the same size and times": ("src/app.py", lambda path: put_back(path, "print('jello')\n")),
    "removed": ("src/app.py", lambda path: path.unlink()),
    "made executable": ("src/app.py", lambda path: path.chmod(0o755)),
    "become a folder": ("README.md", become_a_folder),
    "become special": ("README.md", become_special),
    "become a link": ("README.md", point_elsewhere),
    "a link elsewhere": ("link", point_elsewhere),
    "new": ("deep/new.txt", appear),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_every_change_is_seen_and_named(what: str, store: SnapshotStore, user: UserRepository) -> None:
    (user.folder / "link").symlink_to("README.md")
    plan = await store.pin(user.folder)
    name, change = CHANGES[what]
    change(user.folder / name)

    assert await since(store, user.folder, plan) == WorkspaceChanges(1, (name,))


async def test_changes_in_a_folder_without_git_are_seen_as_well(store: SnapshotStore, user: UserRepository) -> None:
    folder = plain(user)
    (folder / "link").symlink_to("README.md")
    plan = await store.pin(folder)
    for what in ("removed", "become special", "a link elsewhere", "new"):
        name, change = CHANGES[what]
        change(folder / name)

    assert await since(store, folder, plan) == WorkspaceChanges(4, ("README.md", "deep/new.txt", "link", "src/app.py"))


async def test_a_folder_that_became_a_link_leads_nowhere(store: SnapshotStore, user: UserRepository) -> None:
    plan = await store.pin(user.folder)
    outside = user.folder.parent / "outside"
    (user.folder / "src").rename(outside)
    (user.folder / "src").symlink_to(outside)

    assert await since(store, user.folder, plan) == WorkspaceChanges(2, ("src", "src/app.py"))


async def test_what_leaves_the_content_as_it_was_is_no_change(store: SnapshotStore, user: UserRepository) -> None:
    user.write(".gitignore", "*.log\n")
    user.write("src/app.py", "not committed\n")
    plan = await store.pin(user.folder)
    user.commit("in mid-run")
    user.write("debug.log", "ignored")
    user.write("README.md", "changed")
    user.write("README.md", "# A project\n")
    os.utime(user.folder / "src" / "app.py")

    assert await since(store, user.folder, plan) == UNCHANGED


async def test_a_run_over_a_commit_does_not_depend_on_the_tree(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    plan = await store.pin(user.folder, WorkspaceMode.COMMIT)
    git(tmp_path, "clone", "-q", "--bare", str(user.folder), "bare.git")
    of_bare = await store.pin(tmp_path / "bare.git")
    user.write("src/app.py", "changed\n")

    assert await store.changes(str(user.folder), WorkspaceMode.COMMIT, plan) is None
    assert await store.changes(str(tmp_path / "bare.git"), WorkspaceMode.WORKING_TREE, of_bare) is None


async def test_files_older_than_the_pinning_are_not_read_again(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await store.pin(user.folder)
    read: list[FileIO] = []
    real = working_tree._read_up_to

    def count_and_read(file: FileIO, limit: int) -> bytes:
        read.append(file)
        return real(file, limit)

    monkeypatch.setattr(working_tree, "_read_up_to", count_and_read)
    pinned_later = replace(plan, pin_time=time.time() + 60)

    assert await since(store, user.folder, pinned_later) == UNCHANGED
    assert read == []
    assert await since(store, user.folder, plan) == UNCHANGED
    assert len(set(read)) == 2


async def test_older_files_in_a_folder_that_took_the_place_of_another_are_read(
    store: SnapshotStore, user: UserRepository
) -> None:
    """Its files are older than the pinning, and of the same size: only the folder tells."""
    source, other = user.folder / "src", user.folder.parent / "other"
    other.mkdir()
    (other / "app.py").write_text("print('jello')\n")
    plan = await store.pin(user.folder)
    shutil.rmtree(source)
    written = (other / "app.py").stat().st_ctime_ns
    other.rename(source)
    while source.stat().st_ctime_ns < written + 2_000_000:  # the kernel's clock is coarse
        source.rename(other)
        other.rename(source)
    between = (written + source.stat().st_ctime_ns) / 2e9
    plan = replace(plan, pin_time=between + changes.CLOCK_MARGIN_SECONDS)

    assert await since(store, user.folder, plan) == WorkspaceChanges(1, ("src/app.py",))


async def test_a_workspace_that_cannot_be_looked_at_is_a_note(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    plan = await store.pin(user.folder)
    fenced = SnapshotStore(tmp_path / "data" / "objects.git", WorkspaceRoots((tmp_path / "data",)), 10)
    outside = await since(fenced, user.folder, plan)
    (user.folder / ".git" / "index").write_bytes(b"no index")
    damaged = await since(store, user.folder, plan)
    shutil.rmtree(user.folder)
    gone = await since(store, user.folder, plan)

    assert all(told.count == 0 and told.paths == () for told in (outside, damaged, gone))
    assert "allowed" in outside.note
    assert "a repository that git cannot read" in damaged.note
    assert gone.note == "the workspace is not on this machine"


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("MAX_READ_BYTES", 10, WorkspaceChanges(1, ("README.md",), "more than 0 MiB would have to be read")),
        ("MAX_PATHS", 1, WorkspaceChanges(1, ("README.md",), "they are more than 1")),
        ("MAX_SECONDS", 0.0, WorkspaceChanges(0, (), "it took more than 0 s")),
    ],
)
async def test_looking_is_bounded_and_tells_what_it_saw_until_then(
    limit: str, value: float, told: WorkspaceChanges, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SnapshotStore.open(user.folder.parent / "data")
    plan = await store.pin(user.folder)
    user.write("README.md", "of another size")
    monkeypatch.setattr(changes, limit, value)

    assert await since(store, user.folder, plan) == replace(told, note=f"not every path was compared: {told.note}")


async def test_a_file_system_that_hangs_holds_the_report_up_for_a_bounded_time(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await store.pin(user.folder)
    go = asyncio.Event()

    async def hang(*_: object) -> None:
        await go.wait()

    monkeypatch.setattr(changes, "_present", hang)
    monkeypatch.setattr(changes, "MAX_SECONDS", -0.9)

    assert "took more than" in (await since(store, user.folder, plan)).note


async def test_few_of_many_changes_are_named(store: SnapshotStore, user: UserRepository) -> None:
    plan = await store.pin(user.folder)
    for number in range(50):
        user.write(f"new/{number:02}", "x")
    many = await since(store, user.folder, plan)
    shutil.rmtree(user.folder / "new")
    for number in range(50):
        user.write(b"\xff" * 200 + str(number).encode(), "x")
    long = await since(store, user.folder, plan)

    assert many == WorkspaceChanges(50, tuple(f"new/{number:02}" for number in range(20)))
    assert (long.count, len(long.paths)) == (50, 2)
    assert all(path.isprintable() for path in long.paths)


async def test_looking_leaves_the_users_repository_as_it_was(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Keeps J3: nothing of it runs, nothing of it is written."""
    marker = tmp_path / "marker"
    user.add_config(f'[core]\n\tfsmonitor = touch {marker}\n[filter "bait"]\n\tclean = touch {marker}; cat\n')
    user.write(".gitattributes", "* filter=bait\n")
    plan = await store.pin(user.folder)
    user.write("src/app.py", "changed\n")
    marker.unlink(missing_ok=True)
    before = sorted((path, path.lstat().st_mtime_ns) for path in user.folder.rglob("*"))
    await since(store, user.folder, plan)

    assert sorted((path, path.lstat().st_mtime_ns) for path in user.folder.rglob("*")) == before
    assert not marker.exists()
