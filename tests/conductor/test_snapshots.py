"""What is pinned, and what the pinning leaves alone. Keeps J1 and J3."""

import os
import socket
from io import FileIO
from pathlib import Path

import pytest

from conductor.core.plan import SnapshotPlan
from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode, objects, pin, working_tree
from tests.repositories import UserRepository, git


@pytest.fixture
async def store(tmp_path: Path) -> SnapshotStore:
    return await SnapshotStore.open(tmp_path / "data" / "objects.git")


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    return UserRepository.make(tmp_path / "project")


def content(tmp_path: Path, commit: str) -> dict[bytes, tuple[str, bytes]]:
    """Mode and bytes of everything in a snapshot, as git itself shows it."""
    folder = tmp_path / "data" / "objects.git"
    found = {}
    for record in git(folder, "ls-tree", "-r", "-z", commit).split(b"\0")[:-1]:
        head, _, path = record.partition(b"\t")
        mode, kind, oid = head.decode().split()
        found[path] = (mode, git(folder, "cat-file", "blob", oid) if kind == "blob" else oid.encode())
    return found


async def test_a_clean_working_tree_is_its_own_commit(store: SnapshotStore, user: UserRepository) -> None:
    assert await store.pin(str(user.folder)) == SnapshotPlan(commit=user.head, head_commit=user.head)


async def test_uncommitted_and_untracked_files_belong_to_it_and_ignored_ones_do_not(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(".gitignore", "*.log\n")
    user.write("src/app.py", "print('changed')\n")
    user.write("notes.txt", "new\n")
    user.write("debug.log", "noise\n")
    (user.folder / "README.md").unlink()
    plan = await store.pin(str(user.folder))

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
    first, second = await store.pin(str(user.folder)), await other.pin(str(user.folder))
    user.write("new.txt", "y")
    third = await store.pin(str(user.folder))

    assert first == second
    assert third.commit != first.commit


async def test_a_later_edit_does_not_reach_what_was_pinned(store: SnapshotStore, user: UserRepository) -> None:
    """Keeps J1."""
    user.write("src/app.py", "before\n")
    plan = await store.pin(str(user.folder))
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
    await store.pin(str(user.folder))
    await store.pin(str(user.folder), WorkspaceMode.COMMIT, "main")

    assert user.state() == before


async def test_bytes_are_taken_verbatim_whatever_git_is_told_to_make_of_them(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Keeps J1: no filters, no line ends, no encodings."""
    marker = tmp_path / "marker"
    user.write(".gitattributes", "*.txt text eol=lf filter=bait ident working-tree-encoding=UTF-16\n")
    user.add_config(f'[core]\n\tautocrlf = true\n[filter "bait"]\n\tclean = touch {marker}; cat\n\trequired = true\n')
    user.write("a.txt", b"one\r\ntwo $Id$\r\n")
    plan = await store.pin(str(user.folder))

    assert content(tmp_path, plan.commit)[b"a.txt"] == ("100644", b"one\r\ntwo $Id$\r\n")
    assert not marker.exists()


async def test_a_file_that_a_filter_changed_on_its_way_in_counts_as_it_lies_there(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Large-file storage works so: the commit holds a pointer, the tree the content."""
    user.add_config('[filter "pointer"]\n\tclean = echo pointer\n')
    user.write(".gitattributes", "*.bin filter=pointer\n")
    user.write("data.bin", b"\x00content")
    user.commit("with a filter")
    plan = await store.pin(str(user.folder))

    assert content(tmp_path, plan.commit)[b"data.bin"] == ("100644", b"\x00content")
    assert plan.dirty_paths == ("data.bin",)


async def test_links_and_executable_bits_are_kept_and_links_are_not_followed(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (user.folder / "file-link").symlink_to(outside / "secret")
    (user.folder / "folder-link").symlink_to(outside)
    user.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    found = content(tmp_path, (await store.pin(str(user.folder))).commit)

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
    found = content(tmp_path, (await store.pin(str(user.folder))).commit)

    assert found[b"src"][0] == "120000"
    assert b"src/app.py" not in found


async def test_special_files_are_left_out_with_a_note(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    os.mkfifo(user.folder / "README.md.fifo")
    (user.folder / "README.md").unlink()
    os.mkfifo(user.folder / "README.md")
    plain = tmp_path / "plain"
    plain.mkdir()
    os.mkfifo(plain / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(plain / "socket"))
        plan, of_plain = await store.pin(str(user.folder)), await store.pin(str(plain))

    assert plan.dirty_paths == ("README.md",)
    assert any("special files" in note and "README.md" in note for note in plan.notes)
    assert [note for note in of_plain.notes if "special files" in note] == ["special files left out: 2 (fifo, socket)"]


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
    plan = await store.pin(str(user.folder))
    found = content(tmp_path, plan.commit)

    assert [found[name] for name in ODD_NAMES] == [("100644", str(n).encode()) for n in range(len(ODD_NAMES))]
    # What is shown can be printed and sent as text.
    assert all(path.isprintable() for path in plan.dirty_paths)
    user.commit("odd")
    assert (await store.pin(str(user.folder))).commit == user.head


async def test_a_folder_without_git_is_pinned_too(store: SnapshotStore, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / "deep" / ".git").mkdir(parents=True)
    (plain / "deep" / ".git" / "config").write_text("[core]")
    (plain / "deep" / "a.txt").write_text("a")
    (plain / ".gitignore").write_text("*\n")
    first = await store.pin(str(plain))
    second = await store.pin(str(plain))

    assert first == second == SnapshotPlan(commit=first.commit)
    assert sorted(content(tmp_path, first.commit)) == [b".gitignore", b"deep/a.txt"]
    with pytest.raises(InvalidRequestError, match="git repository"):
        await store.pin(str(plain), WorkspaceMode.COMMIT)


async def test_a_repository_without_commits_is_pinned_as_its_files(store: SnapshotStore, tmp_path: Path) -> None:
    folder = tmp_path / "young"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("a")
    plan = await store.pin(str(folder))

    assert (plan.head_commit, plan.dirty_count) == ("", 0)
    assert plan.notes == ("the repository has no commits yet",)
    assert list(content(tmp_path, plan.commit)) == [b"a.txt"]
    with pytest.raises(InvalidRequestError, match="no HEAD"):
        await store.pin(str(folder), WorkspaceMode.COMMIT)


async def test_an_empty_folder_and_a_tree_without_files_can_be_pinned(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    plan = await store.pin(str(tmp_path / "empty"))
    (user.folder / "README.md").unlink()
    (user.folder / "src" / "app.py").unlink()
    emptied = await store.pin(str(user.folder))

    assert content(tmp_path, plan.commit) == content(tmp_path, emptied.commit) == {}
    assert emptied.dirty_count == 2


async def test_a_commit_is_pinned_by_any_name_that_git_knows(store: SnapshotStore, user: UserRepository) -> None:
    first = user.head
    user.write("src/app.py", "second\n")
    second = user.commit("second")
    user.git("tag", "-a", "-m", "a tag", "v1", first)
    user.write("src/app.py", "not committed\n")
    commit = WorkspaceMode.COMMIT

    assert (await store.pin(str(user.folder), commit)).commit == second
    assert (await store.pin(str(user.folder), commit, "HEAD~1")).commit == first
    assert (await store.pin(str(user.folder), commit, "v1")).commit == first
    assert (await store.pin(str(user.folder), commit, second[:8])).commit == second


@pytest.mark.parametrize(
    "revision", ["--all", "-h", "nothing", "HEAD\n", "HEAD:README.md", "x" * 501, "HEAD..main", "^main"]
)
async def test_a_revision_that_names_no_commit_is_refused(
    store: SnapshotStore, user: UserRepository, revision: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await store.pin(str(user.folder), WorkspaceMode.COMMIT, revision)

    assert caught.value.violations[0].field == "workspace.revision"


async def test_submodules_and_repositories_inside_are_named_and_not_entered(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    inner = UserRepository.make(tmp_path / "inner")
    user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.folder), "vendor/inner")
    user.commit("with a submodule")
    UserRepository.make(user.folder / "nested")
    plan = await store.pin(str(user.folder))
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
    plan = await store.pin(str(user.folder / "src"))
    of_commit = await store.pin(str(user.folder / "src"), WorkspaceMode.COMMIT)

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
    plan = await store.pin(str(user.folder / "build"))

    assert list(content(tmp_path, plan.commit)) == [b"out.txt"]


async def test_a_linked_work_tree_and_a_bare_repository_can_be_pinned(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tmp_path / "linked" / "side.txt").write_text("side")
    git(tmp_path, "clone", "-q", "--bare", str(user.folder), "bare.git")
    linked, bare = await store.pin(str(tmp_path / "linked")), await store.pin(str(tmp_path / "bare.git"))

    assert linked.dirty_paths == ("side.txt",)
    assert bare.commit == user.head


async def test_what_a_sparse_checkout_left_out_is_not_a_removal(store: SnapshotStore, user: UserRepository) -> None:
    user.write("other/b.txt", "b")
    user.commit("two folders")
    user.git("sparse-checkout", "set", "src")
    assert not (user.folder / "other").exists()

    assert (await store.pin(str(user.folder))).commit == user.head


async def test_history_is_bounded_and_grows_again_when_less_was_there_before(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    for number in range(5):
        user.write("src/app.py", f"{number}\n")
        user.commit(f"number {number}")
    git(tmp_path, "clone", "-q", "--depth=2", f"file://{user.folder}", "shallow")
    shallow = await store.history((await store.pin(str(tmp_path / "shallow"))).commit)
    full = await store.history((await store.pin(str(user.folder))).commit)

    assert (len(shallow.commits), len(shallow.shallow)) == (2, 1)
    assert (len(full.commits), len(full.shallow)) == (6, 0)


async def test_objects_borrowed_from_another_repository_are_copied(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(user.folder), "borrower")
    plan = await store.pin(str(tmp_path / "borrower"))

    assert not (tmp_path / "data" / "objects.git" / "objects" / "info" / "alternates").exists()
    user.folder.rename(tmp_path / "gone")
    assert content(tmp_path, plan.commit)[b"README.md"][1] == b"# A project\n"


async def test_files_are_read_by_path_and_only_files(store: SnapshotStore, user: UserRepository) -> None:
    (user.folder / "link").symlink_to("README.md")
    user.write("big.txt", "x" * 100)
    user.write("name with ünicode", "u")
    plan = await store.pin(str(user.folder))
    paths = ["README.md", "src", "link", "big.txt", "name with ünicode", "nothing", "../README.md", "/README.md"]
    paths += ["", ".", "src/../README.md", "src/", "a\nb", "a\0b", "*", ":/README.md", "-r", "\ud800"]
    found = await store.read_files(plan.commit, paths, max_bytes_each=50)

    assert list(found) == paths
    assert {path: data for path, data in found.items() if data is not None} == {
        "README.md": b"# A project\n",
        "name with ünicode": b"u",
    }


async def test_hundreds_of_files_are_read_at_once(store: SnapshotStore, user: UserRepository) -> None:
    """Enough to fill every pipe between the two sides."""
    for number in range(900):
        user.write(f"many/{number}.txt", f"{number}" * 300)
    plan = await store.pin(str(user.folder))
    paths = [f"many/{number}.txt" for number in range(900)]

    assert await store.read_files(plan.commit, paths) == {
        f"many/{number}.txt": f"{number}".encode() * 300 for number in range(900)
    }


async def test_a_run_keeps_its_snapshot_until_it_lets_go(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    plan = await store.pin(str(user.folder))
    for _ in range(2):
        await store.keep("run1", plan.commit)
    kept = git(tmp_path / "data" / "objects.git", "rev-parse", "refs/runs/run1").decode().strip()
    for _ in range(2):
        await store.release("run1")

    assert kept == plan.commit
    assert git(tmp_path / "data" / "objects.git", "for-each-ref", "refs/runs") == b""


async def test_paths_that_no_host_could_check_out_are_left_out_with_a_note(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    user.write(".GIT/config", "[core]")
    user.write("/".join("d" * 20 for _ in range(101)) + "/a", "deep")
    plain = tmp_path / "plain"
    (plain / "/".join("d" * 20 for _ in range(101))).mkdir(parents=True)
    plan, of_plain = await store.pin(str(user.folder)), await store.pin(str(plain))

    assert plan.commit == user.head
    assert [note.split(":")[0] for note in plan.notes] == [
        "paths of more than 2000 bytes or 100 folders",
        "paths that git keeps to itself",
    ]
    assert len(of_plain.notes) == 1


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
    plan = await store.pin(str(user.folder))

    assert plan.notes == ("files that changed while they were read: 1 (README.md)",)
    assert content(tmp_path, plan.commit)[b"src/app.py"] == ("100644", b"saved, 1 to come\nx")


async def test_a_file_above_the_limit_is_left_out_unless_the_commit_has_it(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write("tracked.bin", "t" * 5000)
    user.commit("large")
    user.write("new.bin", "n" * 5000)
    monkeypatch.setattr(working_tree, "MAX_FILE_BYTES", 4000)
    plan = await store.pin(str(user.folder))

    assert (plan.commit, plan.dirty_count) == (user.head, 0)
    assert [note for note in plan.notes if "new.bin" in note]


@pytest.mark.parametrize(("name", "value"), [("MAX_FILES", 1), ("MAX_TOTAL_BYTES", 10)])
async def test_a_workspace_above_the_limits_is_refused(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    for module in (working_tree, pin):
        monkeypatch.setattr(module, name, value)
    for mode in WorkspaceMode:
        with pytest.raises(InvalidRequestError, match="holds more than"):
            await store.pin(str(user.folder), mode)


async def test_a_store_that_is_opened_again_is_tidied_and_forgets_nothing(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{user.folder}", "shallow")
    plans = [await store.pin(str(tmp_path / "shallow"))]
    for number in range(4):
        user.write("src/app.py", f"{number}\n")
        user.commit(f"number {number}")
        plans.append(await store.pin(str(user.folder)))
    packs = tmp_path / "data" / "objects.git" / "objects" / "pack"
    (packs / "tmp_pack_x").write_text("a crash")
    monkeypatch.setattr(objects, "MAX_PACKS", 1)
    before = len(list(packs.glob("*.pack")))
    again = await SnapshotStore.open(tmp_path / "data" / "objects.git")

    assert before > len(list(packs.glob("*.pack")))
    assert not list(packs.glob("tmp_*"))
    assert [(await again.read_files(plan.commit, ["README.md"]))["README.md"] for plan in plans] == [
        b"# A project\n"
    ] * 5
    assert await again.pin(str(user.folder)) == plans[-1]
