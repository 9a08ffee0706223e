"""Services whose data lies in the workspace that they look at: agents are shown none of it. Keeps J1 J3."""

import os
import shutil
from pathlib import Path

import pytest

from agenthost.host.data_folder import DataFolder
from agenthost.host.fences import Fences
from agenthost.host.tombstones import Tombstones
from conductor.core.model.events.event_parts import WorkspaceChanges
from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.reading.service_folders import MAX_FOLDERS
from conductor.snapshots.roots import WorkspaceRoots
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes


async def make_conductors_folder(folder: Path) -> None:
    async with await SqliteStore.open(folder):
        await SnapshotStore.open(folder / "snapshots")
    (folder / "pushed" / "caller").mkdir(parents=True)
    (folder / "pushed" / "caller" / "HEAD").write_text("what another caller pushed")
    make_keys(folder / "tls")


def make_keys(folder: Path) -> None:
    folder.mkdir()
    for name in ("ca.pem", "ca-key.pem", "server.pem", "server-key.pem", "issued.json"):
        (folder / name).write_text("secret")


async def make_hosts_folder(folder: Path) -> None:
    data = DataFolder(folder)
    data.acquire()
    data.instance()
    Fences(data.fences)
    Tombstones(data.tombstones, lambda: 0.0)
    (folder / "attempts").mkdir()
    (folder / "attempts" / "prompt").write_text("what another user asked")


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

    plan = await store.pin(user.folder)
    (user.folder / ".state" / "conductor" / "conductor.lock").write_text("grown")
    user.write(".state/host/attempts/more", "later")
    since = await store.changes(str(user.folder), WorkspaceMode.WORKING_TREE, plan)

    expected = [b".gitignore", b"README.md", b"docs/instance", b"src/app.py"]
    assert sorted(content(tmp_path, plan.commit)) == expected
    assert plan.notes == ("data of a conductor or an agent host, left out in: 2 (.state/conductor, .state/host)",)
    assert since == WorkspaceChanges()


@pytest.mark.parametrize("with_git", [True, False])
async def test_a_workspace_that_is_such_a_folder_is_refused(
    store: SnapshotStore, user: UserRepository, *, with_git: bool
) -> None:
    await make_conductors_folder(user.folder)
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    with pytest.raises(InvalidRequestError, match="is the data folder of a conductor") as refused:
        await store.pin(user.folder)
    assert "give the service another folder with --data" in refused.value.hint


@pytest.mark.parametrize("with_git", [True, False])
async def test_keys_are_left_out_before_the_first_start_too(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, *, with_git: bool
) -> None:
    make_keys(user.folder / "tls")
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    plan = await store.pin(user.folder)

    assert sorted(content(tmp_path, plan.commit)) == [b"README.md", b"src/app.py"]
    assert plan.notes == ("data of a conductor or an agent host, left out in: 1 (tls)",)
    with pytest.raises(InvalidRequestError, match="is the data folder of a conductor"):
        await store.pin(user.folder / "tls")


async def test_a_workspace_inside_of_such_a_folder_is_refused_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """A caller who may start runs must get neither keys nor what others pushed."""
    await make_conductors_folder(tmp_path / "c")
    await make_hosts_folder(tmp_path / "h")
    (tmp_path / "c" / "project" / "tls").mkdir(parents=True)
    (tmp_path / "tls").mkdir()
    roots = WorkspaceRoots()
    for inside in ("c/tls", "c/pushed", "c/pushed/caller", "c/snapshots", "h/attempts"):
        with pytest.raises(InvalidRequestError, match="lies in the data folder"):
            roots.resolve(str(tmp_path / inside))

    for beside in ("c/project", "c/project/tls", "tls"):
        assert roots.resolve(str(tmp_path / beside)) == tmp_path / beside


async def test_what_a_user_tracks_under_such_names_is_theirs(store: SnapshotStore, user: UserRepository) -> None:
    user.write("fixtures/conductor.db", "")
    user.write("fixtures/conductor.lock", "")
    user.commit("a fixture")

    assert (await store.pin(user.folder)).notes == ()


@pytest.mark.parametrize("with_git", [True, False])
async def test_a_folder_with_a_services_names_alone_hides_nothing(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, *, with_git: bool
) -> None:
    for name in ("conductor.db", "conductor.lock", "login.py", "snapshots/login.py"):
        user.write(f"core/{name}", "")
    os.mkfifo(user.folder / "core" / "lock")
    for name in ("instance", "fences.jsonl", "tombstones.jsonl", "attempts/login.py"):
        user.write(f"core/{name}", "x" * 32)
    user.write("linked/conductor.lock", "")
    user.write("linked/login.py", "")
    (user.folder / "linked" / "conductor.db").symlink_to("/dev/zero")
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    plan = await store.pin(user.folder)

    pinned = content(tmp_path, plan.commit)
    assert {
        b"core/login.py",
        b"core/snapshots/login.py",
        b"core/attempts/login.py",
        b"linked/login.py",
    } <= pinned.keys()
    assert plan.notes == ("special files left out: 1 (core/lock)",)


@pytest.mark.parametrize("with_git", [True, False])
async def test_what_no_service_made_stays_and_each_folder_with_something_left_out_is_named(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, *, with_git: bool
) -> None:
    await make_conductors_folder(user.folder / "core")
    await make_hosts_folder(user.folder / "core")
    decoys = [f".{number:02}" for number in range(MAX_FOLDERS - 1)]
    for folder in ("core", *decoys):
        user.write(f"{folder}/conductor.db", "x" * 512)
        user.write(f"{folder}/conductor.lock", "")
        user.write(f"{folder}/login.py", "")
    user.write("core/conductor.db.py", "")
    user.write("core/attempts.py", "")
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    plan = await store.pin(user.folder)

    kept = {f"{folder}/login.py".encode() for folder in ("core", *decoys)}
    kept |= {b"core/conductor.db.py", b"core/attempts.py"}
    assert content(tmp_path, plan.commit).keys() == {b"README.md", b"src/app.py"} | kept
    assert plan.notes == (
        f"data of a conductor or an agent host, left out in: {MAX_FOLDERS} ({', '.join((*decoys, 'core'))})",
    )


@pytest.mark.parametrize("with_git", [True, False])
async def test_more_such_folders_than_a_note_can_name_are_refused(
    store: SnapshotStore, user: UserRepository, *, with_git: bool
) -> None:
    for number in range(MAX_FOLDERS + 1):
        user.write(f"f{number:02}/conductor.db", "x" * 4096)
        user.write(f"f{number:02}/conductor.lock", "")
    if not with_git:
        shutil.rmtree(user.folder / ".git")

    with pytest.raises(InvalidRequestError, match=f"more than {MAX_FOLDERS} data folders of .*, such as f") as refused:
        await store.pin(user.folder)
    assert "smaller folder" in refused.value.hint


async def test_a_conductor_that_pins_the_folder_around_its_own_data_keeps_its_locks(user: UserRepository) -> None:
    folder = user.folder / "state"
    async with await SqliteStore.open(folder):
        store = await SnapshotStore.open(folder / "snapshots")
        before = locks_of(folder / "conductor.db")
        plan = await store.pin(user.folder)
        after = locks_of(folder / "conductor.db")

    assert plan.notes == ("data of a conductor or an agent host, left out in: 1 (state)",)
    assert before == after != []


def locks_of(path: Path) -> list[str]:
    """Returns the POSIX locks on a file that the kernel knows, without the numbers of its lines."""
    inode = f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return sorted(line.partition(": ")[2] for line in lines if inode in line and "POSIX" in line)
