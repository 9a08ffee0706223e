"""Services whose data lies in the workspace that they look at: agents are shown none of it. Keeps J1 J3."""

import shutil
from pathlib import Path

import pytest

from agenthost.data_folder import DataFolder
from agenthost.fences import Fences
from agenthost.tombstones import Tombstones
from conductor.core.events import WorkspaceChanges
from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.store.store import Store
from tests.conductor.snapshots.pinned import content
from tests.repositories import UserRepository


async def make_conductors_folder(folder: Path) -> None:
    async with await Store.open(folder):
        await SnapshotStore.open(folder / "snapshots")


async def make_hosts_folder(folder: Path) -> None:
    data = DataFolder(folder)
    data.acquire()
    data.instance()
    Fences(data.fences)
    Tombstones(data.tombstones, lambda: 0.0)
    (folder / "attempts").mkdir()
    (folder / "attempts" / "prompt").write_text("what somebody else asked")


@pytest.mark.parametrize("with_git", [True, False])
@pytest.mark.parametrize("ignored", ["", "*.db\n", "*.jsonl\n*.lock\n"])
async def test_the_data_of_services_is_left_out_of_a_snapshot_and_of_its_changes(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, ignored: str, *, with_git: bool
) -> None:
    await make_conductors_folder(user.folder / ".state" / "conductor")
    await make_hosts_folder(user.folder / ".state" / "host")
    user.write(".gitignore", ignored)
    user.write("docs/instance", "an ordinary file\n")
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    plan = await store.pin(str(user.folder))
    (user.folder / ".state" / "conductor" / "conductor.lock").write_text("grown")
    user.write(".state/host/attempts/more", "later")
    since = await store.changes(str(user.folder), WorkspaceMode.WORKING_TREE, plan)

    expected = [b".gitignore", b"README.md", b"docs/instance", b"src/app.py"]
    assert sorted(content(tmp_path, plan.commit)) == expected
    assert plan.notes == ("data folders of a conductor or an agent host, left out: 2 (.state/conductor, .state/host)",)
    assert since == WorkspaceChanges()


@pytest.mark.parametrize("with_git", [True, False])
async def test_a_workspace_that_is_such_a_folder_is_refused(
    store: SnapshotStore, user: UserRepository, *, with_git: bool
) -> None:
    await make_conductors_folder(user.folder)
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    with pytest.raises(InvalidRequestError, match="is the data folder of a conductor") as refused:
        await store.pin(str(user.folder))
    assert "give the service another one with --data" in refused.value.hint


async def test_what_somebody_tracks_under_such_names_is_theirs(store: SnapshotStore, user: UserRepository) -> None:
    user.write("fixtures/conductor.db", "")
    user.write("fixtures/conductor.lock", "")
    user.commit("a fixture")

    assert (await store.pin(str(user.folder))).notes == ()
