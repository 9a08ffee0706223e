"""What is told of a snapshot is true: its history, its differences from HEAD, and what it does not hold."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.reading.entries import LeftOut, Listed
from conductor.snapshots.reading.working_tree import CHANGING, WorkingTree
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("mode", WorkspaceMode)
async def test_the_snapshot_of_a_shallow_clone_does_not_stand_for_the_whole_repository(
    mode: WorkspaceMode, store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """A host that has the one keeps it under its id, and would give agents its history for the other's."""
    user.commit("second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{user.folder}", "shallow")
    shallow = await store.pin(tmp_path / "shallow", mode)
    again = await store.pin(tmp_path / "shallow", mode)
    full = await store.pin(user.folder, mode)

    assert (shallow.commit, shallow.head_commit, shallow.dirty_count) == (again.commit, user.head, 0)
    assert full.commit == user.head != shallow.commit
    assert len((await store.history(full.commit)).commits) == 2


async def test_a_commit_that_is_made_meanwhile_is_seen_whole(store: SnapshotStore, user: UserRepository) -> None:
    (user.folder / ".git" / "objects" / "info" / "alternates").write_text("/nonexistent/objects\n")
    user.git("gc", "-q")
    async with store._source(user.folder) as source:
        assert source is not None
        for number in range(8):
            user.write(f"{number}.txt", f"{number}\n")
        assert await source.resolve("HEAD") != user.commit("meanwhile")
        trunk = await source.copy_into(store._objects, await source.resolve("HEAD"))

    assert (trunk.head, trunk.has_head, trunk.notes) == (user.head, True, ())


WRITER = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
while True:
    for letter in b"abcdefgh":
        for part in range(8):
            os.pwrite(file, bytes([letter]) * 100_000, part * 100_000)
"""


def test_a_file_that_is_rewritten_in_place_is_never_torn_without_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a" * 800_000)
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "file"]) as writer:
        try:
            for _ in range(5):
                left_out = LeftOut()
                with WorkingTree(tmp_path, left_out) as tree:
                    item = next(tree.read([Listed(b"file")], ()))
                assert item.data is not None
                assert len(set(item.data)) == 1 or CHANGING in left_out.paths
        finally:
            writer.kill()


async def test_what_git_converts_is_no_uncommitted_change(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(
        ".gitattributes",
        "crlf.txt text eol=crlf\n*.id ident\nfiltered filter=case\n*.u16 working-tree-encoding=UTF-16LE\n",
    )
    user.write("crlf.txt", "one\r\ntwo\r\n")
    user.write("a.id", "$Id$\n")
    user.write("filtered", "LOUD\n")
    user.write("wide.u16", "wide".encode("utf-16-le"))
    user.git("config", "filter.case.clean", "tr A-Z a-z")
    user.git("config", "filter.case.smudge", "tr a-z A-Z")
    user.git("config", "core.autocrlf", "true")
    user.write("auto.txt", "three\r\n")
    user.write("script", "#!/bin/sh\n").chmod(0o755)
    user.commit("converted")
    user.git("config", "core.fileMode", "false")
    (user.folder / "script").chmod(0o644)
    time.sleep(0.1)
    user.git("update-index", "--force-write-index")  # as any later command of the user
    user.write("really.txt", "changed\n")
    user.write("src/app.py", "changed\n")
    assert user.git("status", "--porcelain", "-z").count("\0") == 2
    plan = await store.pin(user.folder)

    assert plan.dirty_paths == ("really.txt", "src/app.py")
    assert content(tmp_path, plan.commit)[b"crlf.txt"][1] == b"one\r\ntwo\r\n"
    assert any(note.startswith("files as they lie on the disk") and "crlf.txt" in note for note in plan.notes)


async def test_without_an_index_only_other_bytes_are_changes(store: SnapshotStore, user: UserRepository) -> None:
    user.write("src/app.py", "changed\n")
    (user.folder / ".git" / "index").unlink()

    assert (await store.pin(user.folder)).dirty_paths == ("src/app.py",)


async def test_what_the_operator_ignores_everywhere_is_not_taken(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "home" / ".config" / "git").mkdir(parents=True)
    (tmp_path / "home" / ".config" / "git" / "ignore").write_text("*.swp\n")
    user.write("a.swp", "noise")
    user.write("b.orig", "noise")
    assert (await store.pin(user.folder)).dirty_paths == ("b.orig",)

    (tmp_path / "home" / ".gitconfig").write_text(
        "[core]\n\texcludesFile = ~/rules\n\thooksPath = /x\n[alias]\n\tx = !y\n"
    )
    (tmp_path / "home" / "rules").write_text("*.orig\n")
    assert (await store.pin(user.folder)).dirty_paths == ("a.swp",)


async def test_a_repository_of_longer_names_is_pinned_with_what_it_holds(store: SnapshotStore, tmp_path: Path) -> None:
    for name in ("inner", "outer"):
        git(tmp_path, "init", "-q", "--object-format=sha256", name)
        UserRepository(tmp_path / name).write("a.txt", "a")
        UserRepository(tmp_path / name).commit("one")
    outer = UserRepository(tmp_path / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "inner"), "vendor")
    plan = await store.pin(outer.folder)

    assert sorted(content(tmp_path, plan.commit)) == [b".gitmodules", b"a.txt"]
    assert "history left out: the repository does not use SHA-1 names" in plan.notes
    assert "submodules whose content is left out: 1 (vendor)" in plan.notes


async def test_refs_that_are_not_read_are_told(store: SnapshotStore, user: UserRepository) -> None:
    head = user.head
    user.git("config", "core.repositoryFormatVersion", "1")
    user.git("config", "extensions.refStorage", "reftable")

    assert (await store.pin(user.folder)).notes == ("history left out: the repository keeps its refs in a reftable",)
    assert (await store.pin(user.folder, WorkspaceMode.COMMIT, head)).commit == head
    (user.folder / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    with pytest.raises(InvalidRequestError, match=r"whole id of a commit: .* reftable"):
        await store.pin(user.folder, WorkspaceMode.COMMIT)


async def test_a_partial_clone_that_lacks_files_is_refused_for_that(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write("src/app.py", "second\n")
    user.commit("second")
    user.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=tree:0", f"file://{user.folder}", "partial")
    for folder in ("partial", "partial/src"):
        with pytest.raises(InvalidRequestError, match=r"partial clone|not a folder in that commit"):
            await store.pin(tmp_path / folder, WorkspaceMode.COMMIT, "HEAD~1")


async def test_what_a_sparse_checkout_lacks_is_noted(store: SnapshotStore, user: UserRepository) -> None:
    user.write("src/deep/b.txt", "b")
    user.commit("deep")
    user.git("sparse-checkout", "set", "--cone", "--sparse-index", "other")
    whole = await store.pin(user.folder)
    assert whole.commit == user.head

    user.git("sparse-checkout", "set", "--no-cone", "--no-sparse-index", "/*", "!/src/deep/")
    part = await store.pin(user.folder / "src")
    assert any("sparse checkout" in note and "deep/b.txt" in note for note in part.notes)


async def test_a_git_folder_in_other_letters_is_noted(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    for folder in (plain, user.folder):
        (folder / "deep" / ".GIT").mkdir(parents=True)
        (folder / "deep" / ".GIT" / "config").write_text("x")

        assert any("keeps to itself" in note and ".GIT" in note for note in (await store.pin(folder)).notes)


async def test_an_unreadable_folder_is_noted(store: SnapshotStore, user: UserRepository) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    user.write("closed/new.txt", "new")
    (user.folder / "closed").chmod(0)

    assert "folders that could not be read (Permission denied): 1 (closed)" in (await store.pin(user.folder)).notes
