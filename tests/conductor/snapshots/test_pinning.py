"""Pinning a working tree: what is pinned of it, and what is left alone. Keeps J1 and J3."""

import os
from pathlib import Path

import pytest

from conductor.core.model.plan import SnapshotPlan
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.storing.pin import CONVERTED
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


async def test_a_clean_working_tree_is_its_own_commit(store: SnapshotStore, user: UserRepository) -> None:
    assert await store.pin(user.folder) == SnapshotPlan(commit=user.head, head_commit=user.head)


async def test_uncommitted_and_untracked_files_belong_to_it_and_ignored_ones_do_not(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(".gitignore", "*.log\n")
    user.write("src/app.py", "print('changed')\n")
    user.write("notes.txt", "new\n")
    user.write("debug.log", "noise\n")
    (user.folder / "README.md").unlink()
    plan = await store.pin(user.folder)

    assert plan.head_commit == user.head
    assert plan.dirty_paths == (".gitignore", "README.md", "notes.txt", "src/app.py")
    assert plan.dirty_count == 4
    assert content(tmp_path, plan.commit) == {
        b".gitignore": ("100644", b"*.log\n"),
        b"notes.txt": ("100644", b"new\n"),
        b"src/app.py": ("100644", b"print('changed')\n"),
    }
    assert git(tmp_path / "data" / "objects.git", "rev-parse", f"{plan.commit}^").decode().strip() == user.head


async def test_the_same_content_gives_the_same_id_in_any_store(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write("new.txt", "x")
    other = await SnapshotStore.open(tmp_path / "other.git")
    first, second = await store.pin(user.folder), await other.pin(user.folder)
    user.write("new.txt", "y")
    third = await store.pin(user.folder)

    assert first == second
    assert third.commit != first.commit


async def test_a_later_edit_does_not_reach_what_was_pinned(store: SnapshotStore, user: UserRepository) -> None:
    """Keeps J1."""
    user.write("src/app.py", "before\n")
    plan = await store.pin(user.folder)
    user.write("src/app.py", "after\n")
    user.commit("later")

    assert await store.read_files(plan.commit, ["src/app.py"]) == {"src/app.py": b"before\n"}


async def test_the_users_repository_is_as_it_was(store: SnapshotStore, user: UserRepository) -> None:
    """Keeps J3."""
    user.write("src/app.py", "changed\n")
    user.write("new.txt", "x")
    # A file newer than the index makes git want to refresh it.
    os.utime(user.folder / "README.md")
    before = user.state()
    await store.pin(user.folder)
    await store.pin(user.folder, WorkspaceMode.COMMIT, "main")

    assert user.state() == before


async def test_bytes_are_taken_verbatim_whatever_git_is_told_to_make_of_them(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Keeps J1: no filters, no line ends, no encodings."""
    marker = tmp_path / "marker"
    user.write(".gitattributes", "*.txt text eol=lf filter=bait ident working-tree-encoding=UTF-16\n")
    user.add_config(f'[core]\n\tautocrlf = true\n[filter "bait"]\n\tclean = touch {marker}; cat\n\trequired = true\n')
    user.write("a.txt", b"one\r\ntwo $Id$\r\n")
    plan = await store.pin(user.folder)

    assert content(tmp_path, plan.commit)[b"a.txt"] == ("100644", b"one\r\ntwo $Id$\r\n")
    assert not marker.exists()


async def test_a_file_that_a_filter_changed_on_its_way_in_counts_as_it_lies_there(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Large-file storage works so: the commit holds a pointer, the tree the content."""
    user.add_config('[filter "pointer"]\n\tclean = echo pointer\n')
    user.write(".gitattributes", "*.bin filter=pointer\n")
    os.utime(user.write("data.bin", b"\x00content"), (1e9, 1e9))  # git believes the stamps of what is old
    user.commit("with a filter")
    plan = await store.pin(user.folder)

    assert content(tmp_path, plan.commit)[b"data.bin"] == ("100644", b"\x00content")
    assert plan.dirty_paths == ()
    assert plan.notes == (f"{CONVERTED}: 1 (data.bin)",)


async def test_links_and_executable_bits_are_kept_and_links_are_not_followed(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (user.folder / "file-link").symlink_to(outside / "secret")
    (user.folder / "folder-link").symlink_to(outside)
    user.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    found = content(tmp_path, (await store.pin(user.folder)).commit)

    assert found[b"file-link"] == ("120000", os.fsencode(outside / "secret"))
    assert found[b"folder-link"] == ("120000", os.fsencode(outside))
    assert found[b"run.sh"] == ("100755", b"#!/bin/sh\n")
    assert not any(b"secret" in path for path in found)


async def test_a_tracked_folder_that_became_a_link_leads_nowhere(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("secret")
    (user.folder / "src" / "app.py").unlink()
    (user.folder / "src").rmdir()
    (user.folder / "src").symlink_to(outside)
    found = content(tmp_path, (await store.pin(user.folder)).commit)

    assert found[b"src"][0] == "120000"
    assert b"src/app.py" not in found


ODD_NAMES = [
    b"new\nline",
    b'quo"te',
    b"back\\slash",
    b"not-text-\xff\xfe",
    b"-leading-dash",
    b"tab\there",
    b" spaces ",
    b"n" * 255,
    b":(top)magic",
    b"*star?[x]",
    "\u202eright-to-left".encode(),
    b"folder\n/inner\n",
]


async def test_odd_names_are_kept_byte_for_byte(store: SnapshotStore, user: UserRepository, tmp_path: Path) -> None:
    for number, name in enumerate(ODD_NAMES):
        user.write(name, str(number))
    plan = await store.pin(user.folder)
    found = content(tmp_path, plan.commit)

    assert [found[name] for name in ODD_NAMES] == [("100644", str(n).encode()) for n in range(len(ODD_NAMES))]
    # What is shown can be printed and sent as text.
    assert all(path.isprintable() for path in plan.dirty_paths)
    user.commit("odd")
    assert (await store.pin(user.folder)).commit == user.head
