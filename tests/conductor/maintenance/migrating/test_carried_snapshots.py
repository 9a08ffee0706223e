"""The snapshots of runs go along with a migrated conductor. Keeps K15 and J1."""

from pathlib import Path

import pytest

from conductor.core.model.plan import SnapshotPlan
from conductor.snapshots import SnapshotStore
from tests.conductor.maintenance.migrating.world import moved, served
from tests.conductor.store.material import creation, run_name
from tests.kit.repositories import UserRepository, git, snapshot_content

pytestmark = pytest.mark.processes


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    return UserRepository.make(tmp_path / "project")


async def pinned(folder: Path, user: UserRepository) -> list[str]:
    """Three runs over two snapshots, and one whose snapshot was lost."""
    snapshots = await SnapshotStore.open(folder / "snapshots")
    commits = []
    async with served(str(folder)) as store:
        for number in range(3):
            if number == 2:
                user.write("src/app.py", "print('edited')\n")
            commits.append((await snapshots.pin(user.folder)).commit)
            await snapshots.keep(run_name(number), commits[-1])
            await store.append(creation(run_name(number), snapshot=SnapshotPlan(commits[-1])), 1.0)
        await store.append(creation(run_name(3), snapshot=SnapshotPlan("c" * 40)), 1.0)
    return commits


async def test_they_go_into_a_database_and_back_into_a_folder(
    tmp_path: Path, user: UserRepository, database: str
) -> None:
    home, back = tmp_path / "home", tmp_path / "back"
    commits = await pinned(home, user)
    content = [snapshot_content(home / "snapshots", commit) for commit in commits]
    there = await moved(str(home), database)
    again = await moved(database, str(back))

    assert there.lost_snapshots == again.lost_snapshots == (run_name(3),)
    assert [snapshot_content(back / "snapshots", commit) for commit in commits] == content
    named = await (await SnapshotStore.open(back / "snapshots")).tree(commits[2])
    assert b"src/app.py" in named
    refs = git(back / "snapshots", "for-each-ref", "--format=%(refname)", "refs/runs").decode().split()
    assert refs == [f"refs/runs/{run_name(number)}" for number in range(3)]
    git(back / "snapshots", "fsck", "--full", "--strict")


@pytest.mark.long
async def test_they_go_from_one_folder_into_another_and_into_copies(tmp_path: Path, user: UserRepository) -> None:
    home, there = tmp_path / "home", tmp_path / "there"
    commits = await pinned(home, user)
    await moved(str(home), str(there), blobs=("", str(tmp_path / "blobs")))
    elsewhere = await moved(str(there), str(tmp_path / "elsewhere"), blobs=(str(tmp_path / "blobs"), ""))
    copies = sorted(path.parent.name for path in (tmp_path / "blobs").glob("*/snapshots/*/*"))

    assert copies == sorted(set(commits))
    assert elsewhere.lost_snapshots == (run_name(3),)
    for place in (there, tmp_path / "elsewhere"):
        git(place / "snapshots", "fsck", "--full", "--strict")
        assert snapshot_content(place / "snapshots", commits[0])
