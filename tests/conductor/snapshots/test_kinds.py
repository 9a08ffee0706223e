"""Folders that can be pinned, and what of them: with git and without, commits, parts of repositories, odd checkouts. Keeps J1."""

from pathlib import Path

import pytest

from conductor.core.model.plan import SnapshotPlan
from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


async def test_a_folder_without_git_is_pinned_too(store: SnapshotStore, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / "deep" / ".git").mkdir(parents=True)
    (plain / "deep" / ".git" / "config").write_text("[core]")
    (plain / "deep" / "a.txt").write_text("a")
    (plain / ".gitignore").write_text("*\n")
    first = await store.pin(plain)
    second = await store.pin(plain)

    assert first == second == SnapshotPlan(commit=first.commit)
    assert sorted(content(tmp_path, first.commit)) == [b".gitignore", b"deep/a.txt"]
    with pytest.raises(InvalidRequestError, match="git repository"):
        await store.pin(plain, WorkspaceMode.COMMIT)


async def test_a_repository_without_commits_is_pinned_as_its_files(store: SnapshotStore, tmp_path: Path) -> None:
    folder = tmp_path / "young"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("a")
    plan = await store.pin(folder)

    assert (plan.head_commit, plan.dirty_count) == ("", 0)
    assert plan.notes == ("the repository has no commits yet",)
    assert list(content(tmp_path, plan.commit)) == [b"a.txt"]
    with pytest.raises(InvalidRequestError, match="no HEAD"):
        await store.pin(folder, WorkspaceMode.COMMIT)


async def test_an_empty_folder_and_a_tree_without_files_can_be_pinned(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    plan = await store.pin(tmp_path / "empty")
    (user.folder / "README.md").unlink()
    (user.folder / "src" / "app.py").unlink()
    emptied = await store.pin(user.folder)

    assert content(tmp_path, plan.commit) == content(tmp_path, emptied.commit) == {}
    assert emptied.dirty_count == 2


async def test_a_commit_is_pinned_by_any_name_that_git_knows(store: SnapshotStore, user: UserRepository) -> None:
    first = user.head
    user.write("src/app.py", "second\n")
    second = user.commit("second")
    user.git("tag", "-a", "-m", "a tag", "v1", first)
    user.write("src/app.py", "not committed\n")
    commit = WorkspaceMode.COMMIT

    assert (await store.pin(user.folder, commit)).commit == second
    assert (await store.pin(user.folder, commit, "HEAD~1")).commit == first
    assert (await store.pin(user.folder, commit, "v1")).commit == first
    assert (await store.pin(user.folder, commit, second[:8])).commit == second


@pytest.mark.parametrize(
    "revision", ["--all", "-h", "nothing", "HEAD\n", "HEAD:README.md", "x" * 501, "HEAD..main", "^main"]
)
async def test_a_revision_that_names_no_commit_is_refused(
    store: SnapshotStore, user: UserRepository, revision: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await store.pin(user.folder, WorkspaceMode.COMMIT, revision)

    assert caught.value.violations[0].field == "workspace.revision"


async def test_submodules_and_repositories_inside_are_named_and_not_entered(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    inner = UserRepository.make(tmp_path / "inner")
    user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.folder), "vendor/inner")
    user.commit("with a submodule")
    UserRepository.make(user.folder / "nested")
    plan = await store.pin(user.folder)
    found = content(tmp_path, plan.commit)

    assert found[b"vendor/inner"] == ("160000", inner.head.encode())
    assert not any(path.startswith((b"vendor/inner/", b"nested")) for path in found)
    assert any("submodules" in note and "vendor/inner" in note for note in plan.notes)
    assert any("repositories inside" in note and "nested" in note for note in plan.notes)


async def test_a_folder_inside_a_repository_is_pinned_alone(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(".gitignore", "*.log\n")
    user.commit("ignore")
    user.write("src/debug.log", "noise")
    user.write("src/new.py", "new")
    plan = await store.pin(user.folder / "src")
    of_commit = await store.pin(user.folder / "src", WorkspaceMode.COMMIT)

    assert sorted(content(tmp_path, plan.commit)) == [b"app.py", b"new.py"]
    assert (plan.head_commit, plan.dirty_paths) == (user.head, ("new.py",))
    assert len((await store.history(plan.commit)).commits) == 1
    assert list(content(tmp_path, of_commit.commit)) == [b"app.py"]
    assert of_commit.head_commit == user.head


async def test_an_ignored_folder_that_was_named_is_taken_whole(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(".gitignore", "build/\n")
    user.write("build/out.txt", "x")
    plan = await store.pin(user.folder / "build")

    assert list(content(tmp_path, plan.commit)) == [b"out.txt"]


async def test_a_linked_work_tree_and_a_bare_repository_can_be_pinned(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tmp_path / "linked" / "side.txt").write_text("side")
    git(tmp_path, "clone", "-q", "--bare", str(user.folder), "bare.git")
    linked, bare = await store.pin(tmp_path / "linked"), await store.pin(tmp_path / "bare.git")

    assert linked.dirty_paths == ("side.txt",)
    assert bare.commit == user.head


async def test_what_a_sparse_checkout_left_out_is_not_a_removal(store: SnapshotStore, user: UserRepository) -> None:
    user.write("other/b.txt", "b")
    user.commit("two folders")
    user.git("sparse-checkout", "set", "src")
    assert not (user.folder / "other").exists()

    assert (await store.pin(user.folder)).commit == user.head


async def test_history_is_bounded_and_grows_again_when_less_was_there_before(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    for number in range(5):
        user.write("src/app.py", f"{number}\n")
        user.commit(f"number {number}")
    git(tmp_path, "clone", "-q", "--depth=2", f"file://{user.folder}", "shallow")
    shallow = await store.history((await store.pin(tmp_path / "shallow")).commit)
    full = await store.history((await store.pin(user.folder)).commit)

    # And the snapshot itself, which tells the shallow clone from the whole repository.
    assert (len(shallow.commits), len(shallow.shallow)) == (3, 1)
    assert (len(full.commits), len(full.shallow)) == (6, 0)


async def test_objects_borrowed_from_another_repository_are_copied(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(user.folder), "borrower")
    plan = await store.pin(tmp_path / "borrower")

    assert not (tmp_path / "data" / "objects.git" / "objects" / "info" / "alternates").exists()
    user.folder.rename(tmp_path / "gone")
    assert content(tmp_path, plan.commit)[b"README.md"][1] == b"# A project\n"
