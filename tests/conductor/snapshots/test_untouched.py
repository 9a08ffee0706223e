"""No pinning and no comparison changes a byte, a time or an inode of the user's repository, whatever kind it is of."""

import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conductor.snapshots import SnapshotStore, WorkspaceMode
from tests.kit.repositories import ENVIRONMENT, UserRepository, git

pytestmark = pytest.mark.processes

State = dict[str, tuple[object, ...]]


def state(folder: Path) -> State:
    return dict(entries(folder))


def entries(folder: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = (
            path.read_bytes() if stat.S_ISREG(status.st_mode) else str(path.readlink()) if path.is_symlink() else ""
        )
        identity = (status.st_ino, status.st_mode, status.st_nlink, status.st_uid)
        yield str(path), (*identity, status.st_size, status.st_mtime_ns, status.st_ctime_ns, content)


def sparse_index(user: UserRepository) -> None:
    user.git("sparse-checkout", "set", "--cone", "--sparse-index", "src")


def split_index(user: UserRepository) -> None:
    user.git("update-index", "--split-index")
    user.write("src/more.py", "more\n")
    user.git("add", "--all")


def untracked_cache(user: UserRepository) -> None:
    user.git("update-index", "--force-untracked-cache")
    user.git("status")


def file_system_monitor(user: UserRepository) -> None:
    user.git("config", "core.fsmonitor", "true")
    user.git("-c", "core.fsmonitor=false", "update-index", "--fsmonitor")


def linked_work_tree(user: UserRepository) -> None:
    user.git("worktree", "add", "-q", "-b", "side", str(user.folder / "linked"))


def submodule(user: UserRepository) -> None:
    inner = UserRepository.make(user.folder.parent / "inner")
    user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.folder), "vendor/inner")


def partial_clone(user: UserRepository) -> None:
    user.git("config", "uploadpack.allowFilter", "true")
    git(user.folder, "clone", "-q", "--filter=blob:none", f"file://{user.folder}", "partial")


def stale_index(user: UserRepository) -> None:
    """Files of the same size, rewritten at the time that the index has of them."""
    index = (user.folder / ".git" / "index").stat()
    path = user.write("src/app.py", "print('HELLO')\n")
    os.utime(path, ns=(index.st_mtime_ns, index.st_mtime_ns))


def commit_graph(user: UserRepository) -> None:
    user.git("commit-graph", "write", "--reachable")
    user.git("repack", "-q", "-d")
    user.git("multi-pack-index", "write")


def maintenance(user: UserRepository) -> None:
    user.git("config", "gc.auto", "1")
    user.git("config", "gc.autoPackLimit", "1")
    user.git("config", "gc.autoDetach", "false")
    user.git("config", "maintenance.auto", "true")


def packed(user: UserRepository) -> None:
    user.git("gc", "-q")
    user.git("pack-refs", "--all")


def reftable(user: UserRepository) -> None:
    user.git("config", "core.repositoryFormatVersion", "1")
    user.git("config", "extensions.refStorage", "reftable")


def sha256(user: UserRepository) -> None:
    git(user.folder, "init", "-q", "--object-format=sha256", "modern")
    UserRepository(user.folder / "modern").write("a.txt", "a")
    UserRepository(user.folder / "modern").commit("modern")


def unmerged(user: UserRepository) -> None:
    user.git("branch", "other")
    user.write("src/app.py", "ours\n")
    user.commit("ours")
    user.git("checkout", "-q", "other")
    user.write("src/app.py", "theirs\n")
    user.commit("theirs")
    user.git("checkout", "-q", "main")
    merge = ["git", "merge", "-q", "other"]
    subprocess.run(merge, cwd=user.folder, env=ENVIRONMENT, capture_output=True, check=False)


def borrowed(user: UserRepository) -> None:
    git(user.folder, "clone", "-q", "--shared", str(user.folder), "borrower")


Make = Callable[[UserRepository], None]
# Each row is one repository; what does not exclude each other shares it.
KINDS: tuple[tuple[tuple[Make, ...], tuple[str, ...]], ...] = (
    ((sparse_index,), (".",)),
    ((split_index, file_system_monitor, untracked_cache, maintenance, unmerged), (".", "src")),
    ((submodule, commit_graph, linked_work_tree, partial_clone, borrowed), ("linked", "partial", "borrower")),
    ((stale_index, packed, sha256, reftable), (".", "modern")),
)


@pytest.mark.parametrize(("made", "below"), KINDS)
async def test_no_byte_no_time_and_no_inode_changes(
    made: tuple[Make, ...], below: tuple[str, ...], store: SnapshotStore, user: UserRepository
) -> None:
    user.write("other/b.txt", "b\n")
    user.commit("two folders")
    for make in made:
        make(user)
    for folder in below:
        UserRepository(user.folder / folder).write("new.txt", "new\n")
    hour_ago = time.time() - 3600
    for path in (user.folder / ".git").rglob("*"):
        if path.is_file() and path.name != "index":
            os.utime(path, (hour_ago, hour_ago))
    before = state(user.folder)

    for folder in below:
        plan = await store.pin(user.folder / folder)
        assert await store.changes(str(user.folder / folder), WorkspaceMode.WORKING_TREE, plan) is not None

    after = state(user.folder)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()
    assert not list((store._folder / "views").iterdir()), "a view goes with its pinning"
