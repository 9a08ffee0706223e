"""Files that are left out of a snapshot, always with a note, and workspaces that are refused. Keeps J1 and K5."""

import os
import shutil
import socket
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

import pytest

from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.reading import working_tree
from conductor.snapshots.reading.entries import Listed
from conductor.snapshots.storing import pin
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes


async def test_paths_that_no_host_could_check_out_are_left_out_with_a_note(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(".GIT/config", "[core]")
    user.write("/".join("d" * 20 for _ in range(101)) + "/a", "deep")
    plain = tmp_path / "plain"
    (plain / "/".join("d" * 20 for _ in range(101))).mkdir(parents=True)
    plan, of_plain = await store.pin(user.folder), await store.pin(plain)

    assert plan.commit == user.head
    assert [note.split(":")[0] for note in plan.notes] == [
        "paths of more than 2000 bytes or 100 folders",
        "paths that git keeps to itself",
    ]
    assert len(of_plain.notes) == 1


async def test_special_files_are_left_out_with_a_note(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    os.mkfifo(user.folder / "README.md.fifo")
    (user.folder / "README.md").unlink()
    os.mkfifo(user.folder / "README.md")
    user.write(".gitignore", "ignored*\nbuild/\n")
    user.write("build/x", "x")
    for name in ("src/fifo", "ignored.fifo", "build/fifo", ":(top)x"):
        os.mkfifo(user.folder / name)
    os.mkfifo(UserRepository.make(user.folder / "nested").folder / "fifo")
    plain = tmp_path / "plain"
    plain.mkdir()
    os.mkfifo(plain / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(plain / "socket"))
        plan, of_plain = await store.pin(user.folder), await store.pin(plain)

    assert plan.dirty_paths == (".gitignore", "README.md")
    assert "special files left out: 4 (:(top)x, README.md, README.md.fifo, src/fifo)" in plan.notes
    assert of_plain.notes == ("special files left out: 2 (fifo, socket)",)


async def test_a_file_that_never_stops_changing_is_taken_with_a_note(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor that saves at every reading, and one that saves once."""
    saves = {"README.md": 5, "src/app.py": 1}
    real = working_tree._read_up_to

    def read_while_it_is_saved(file: FileIO, limit: int) -> bytes:
        data = real(file, limit)
        for name, left in saves.items():
            path = user.folder / name
            if left and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                saves[name] -= 1
                user.write(name, f"saved, {left} to come\n" + "x" * left)
        return data

    monkeypatch.setattr(working_tree, "_read_up_to", read_while_it_is_saved)
    plan = await store.pin(user.folder)

    assert plan.notes == ("files that changed while they were read: 1 (README.md)",)
    assert content(tmp_path, plan.commit)[b"src/app.py"] == ("100644", b"saved, 1 to come\nx")


async def test_a_file_above_the_limit_is_left_out_unless_the_commit_has_it(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write("tracked.bin", "t" * 5000)
    user.commit("large")
    user.write("new.bin", "n" * 5000)
    monkeypatch.setattr(working_tree, "MAX_FILE_BYTES", 4000)
    plan = await store.pin(user.folder)

    assert (plan.commit, plan.dirty_count) == (user.head, 0)
    assert [note for note in plan.notes if "new.bin" in note]


@pytest.mark.parametrize(("name", "value"), [("MAX_FILES", 1), ("MAX_TOTAL_BYTES", 10)])
async def test_a_workspace_above_the_limits_is_refused_before_anything_is_read_or_written(
    name: str, value: int, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SnapshotStore.open(tmp_path / "data" / "objects.git")
    for module in (working_tree, pin):
        monkeypatch.setattr(module, name, value)
    objects = tmp_path / "data" / "objects.git"
    before = sorted(objects.rglob("*"))
    monkeypatch.setattr(working_tree, "_read_up_to", None)
    for folder in (user.folder, user.folder / "src"):
        user.write("src/more.py", "print('more')\n")
        user.commit("more")
        for mode in WorkspaceMode:
            with pytest.raises(InvalidRequestError, match="holds more than"):
                await store.pin(folder, mode)
    shutil.rmtree(user.folder / ".git")
    with pytest.raises(InvalidRequestError, match="holds more than"):
        await store.pin(user.folder)

    assert sorted(objects.rglob("*")) == before


async def test_a_tree_that_grows_beyond_the_limit_while_it_is_read_is_refused(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_tree, "MAX_TOTAL_BYTES", 1000)
    real = working_tree.WorkingTree.check_size

    def check_then_grow(tree: working_tree.WorkingTree, listed: Iterable[Listed]) -> tuple[Listed, ...]:
        checked = real(tree, listed)
        user.write("README.md", "x" * 2000)
        return checked

    monkeypatch.setattr(working_tree.WorkingTree, "check_size", check_then_grow)
    with pytest.raises(InvalidRequestError, match="holds more than"):
        await store.pin(user.folder)
