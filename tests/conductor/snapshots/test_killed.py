"""A git is killed in the middle of its work: that is told as trouble that passes, and asking again is all it takes."""

import pytest

from conductor.errors import ProgramUnavailableError
from conductor.snapshots import SnapshotStore
from tests.kit.killed_git import KilledGit
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes

# All that pinning a changed working tree runs, be it a question whose failure is an answer.
COMMANDS = (
    "rev-parse",
    "config",
    "ls-files",
    "rev-list",
    "for-each-ref",
    "cat-file",
    "pack-objects",
    "index-pack",
    "ls-tree",
    "show",
    "fast-import",
)


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_git_that_is_killed_while_a_workspace_is_pinned_says_to_ask_again(
    command: str, store: SnapshotStore, user: UserRepository, killed_git: KilledGit
) -> None:
    user.write("new.txt", "x")
    killed_git.arm(command)
    with pytest.raises(ProgramUnavailableError, match="try again") as caught:
        await store.pin(user.folder)

    assert killed_git.has_killed
    assert (caught.value.code, caught.value.reason, caught.value.kind) == (
        "UNAVAILABLE",
        "PROGRAM_UNAVAILABLE",
        "RECOVERABLE",
    )
    assert (await store.pin(user.folder)).dirty_paths == ("new.txt",)


async def test_a_git_that_is_killed_while_citations_are_read_says_to_ask_again(
    store: SnapshotStore, user: UserRepository, killed_git: KilledGit
) -> None:
    plan = await store.pin(user.folder)
    for command in ("ls-tree", "cat-file"):
        killed_git.arm(command)
        with pytest.raises(ProgramUnavailableError):
            await store.read_files(plan.commit, ["README.md"])

        assert killed_git.has_killed
