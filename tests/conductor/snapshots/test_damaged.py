"""Repositories that are damaged, unusual or hold what is too large: told as what they are, never as a defect. Keeps J1 K5."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.roots import WorkspaceRoots
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(("file", "text"), [("index", "garbage"), ("HEAD", "x"), ("config", "[[[")])
async def test_a_repository_that_git_cannot_read_is_a_wrong_workspace_and_says_why(
    file: str, text: str, store: SnapshotStore, user: UserRepository
) -> None:
    (user.folder / ".git" / file).write_text(text)

    with pytest.raises(InvalidRequestError) as caught:
        await store.pin(user.folder)
    assert caught.value.violations[0].field == "workspace.path"
    assert "is a repository that git cannot read" in caught.value.violations[0].text


async def test_a_head_that_is_damaged_is_not_taken_for_a_repository_without_commits(
    store: SnapshotStore, user: UserRepository
) -> None:
    for file in (user.folder / ".git" / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"garbage")

    assert "history left out: the repository's HEAD cannot be read" in (await store.pin(user.folder)).notes


async def told(store: SnapshotStore, folder: Path, mode: str) -> str:
    """Returns the refusal of a pinning, or its notes."""
    try:
        return "; ".join((await store.pin(folder, mode)).notes)
    except InvalidRequestError as error:
        return str(error)


COMMITTERS = ("<a@b> -5 +0000", "<a@b>", "<a@b> 1700000000", "<a@b> 99999999999999999999 +0000", "<a@b> x +0000", "a")


@pytest.mark.parametrize("committer", COMMITTERS)
async def test_a_commit_with_a_broken_date_is_pinned_with_its_changes(
    committer: str, store: SnapshotStore, user: UserRepository
) -> None:
    commit = (
        f"tree {user.git('write-tree').strip()}\nauthor A <a@b> 1 +0000\ncommitter A {committer}\nencoding x\n\nodd\n"
    )
    oid = git(user.folder, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=commit.encode())
    (user.folder / ".git" / "refs" / "heads" / "main").write_bytes(oid)
    assert (await store.pin(user.folder)).commit == oid.decode().strip()

    user.write("src/app.py", "changed\n")
    assert (await store.pin(user.folder)).dirty_paths == ("src/app.py",)


LONG = "x" * 256


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".git", f"gitdir: {LONG}\n"),
        (".git/commondir", f"{LONG}\n"),
        (".git/commondir", "a\0b\n"),
        (".git/objects/info/alternates", f"/{LONG}\n"),
        (".git/HEAD", f"ref: refs/heads/{LONG}\n"),
        (".git/HEAD", "ref: refs/heads/main\n" * 4000),
        (".git/refs/heads/main", "ref: refs/heads/main\n"),
        (".git/packed-refs", "garbage\n" * 100),
        (".git/index", ""),
        (".git/shallow", "garbage\n"),
        (".git/info/exclude", "[" * 100_000),
        (".git/config", '[core]\n\tfilemode = x\n\tautocrlf = "\n'),
    ],
)
async def test_what_is_damaged_in_a_git_folder_is_told_or_passed_over(
    file: str, text: str, store: SnapshotStore, user: UserRepository
) -> None:
    path = user.folder / file
    if path.is_dir():
        path.rename(user.folder / "gone")
    path.write_text(text)
    for mode in (WorkspaceMode.WORKING_TREE, WorkspaceMode.COMMIT):
        assert "views/" not in await told(store, user.folder, mode)


async def test_a_workspace_with_a_name_that_no_file_system_has_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="File name too long"):
        WorkspaceRoots().resolve(f"/tmp/{LONG}")


@pytest.mark.parametrize("closed", [".git", ".git/objects", ".git/index", ".git/HEAD", ".git/config", "src/deep"])
async def test_what_the_conductor_may_not_read_is_told(closed: str, store: SnapshotStore, user: UserRepository) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    user.write("src/deep/new.py", "new\n")
    (user.folder / closed).chmod(0)
    assert "Permission denied" in await told(store, user.folder, WorkspaceMode.WORKING_TREE)


async def test_a_repository_without_commits_says_so(store: SnapshotStore, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "unborn")

    assert (await store.pin(tmp_path / "unborn")).notes == ("the repository has no commits yet",)


async def test_a_commit_of_a_repository_with_longer_names_is_refused_for_that(
    store: SnapshotStore, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "modern")

    with pytest.raises(InvalidRequestError, match="SHA-1"):
        await store.pin(tmp_path / "modern", WorkspaceMode.COMMIT)


async def test_one_huge_file_that_is_not_tracked_is_left_out_and_does_not_spoil_the_rest(
    store: SnapshotStore, user: UserRepository
) -> None:
    with (user.folder / "huge").open("wb") as file:
        os.truncate(file.fileno(), 10 << 30)

    pinned = await store.pin(user.folder)
    assert pinned.notes == ("files above 64 MiB left out: 1 (huge)",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".git/objects/info/alternates", "{circle}\n"),
        (".git/commondir", "{circle}"),
        (".git/config", "[core]\n\texcludesFile = {circle}\n"),
        ("inner/.git", "gitdir: {circle}\n"),
        ("src/.git", "gitdir: {circle}\n"),
    ],
)
async def test_links_in_a_circle_are_no_defect_of_ours(
    tmp_path: Path, user: UserRepository, name: str, text: str
) -> None:
    (user.folder / "circle").symlink_to("round")
    (user.folder / "round").symlink_to("circle")
    user.write(name, text.format(circle=user.folder / "circle"))
    store = await SnapshotStore.open(tmp_path / "rooted", WorkspaceRoots((tmp_path,)))
    for folder in (user.folder, user.folder / "src"):
        with suppress(InvalidRequestError):
            await store.pin(folder)


async def test_repositories_that_borrow_from_each_other_are_each_read_once(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(user.folder), "borrower")
    lent = tmp_path / "borrower" / ".git" / "objects"
    user.write(".git/objects/info/alternates", f"{lent}\n../objects\n")

    for folder in (user.folder, tmp_path / "borrower"):
        assert (await store.pin(folder)).head_commit == user.head
