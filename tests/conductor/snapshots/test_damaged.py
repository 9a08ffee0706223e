"""Repositories that are damaged, unusual or hold what is too large: told as what they are, never as a defect. Keeps J1 K5."""

import os
from pathlib import Path

import pytest

from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
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
