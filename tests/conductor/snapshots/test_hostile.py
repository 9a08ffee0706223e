"""Repositories that try to run something, or to be read beyond what is allowed. Keeps E9, J1 and J3.

Each bait would create a marker. Two of them are first shown to work, so that a quiet test means something.
"""

import asyncio
import os
import socket
import subprocess
from pathlib import Path

import pytest

from conductor.errors import InvalidRequestError, RootNotAllowedError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.reading import settings
from conductor.snapshots.roots import WorkspaceRoots
from tests.kit.repositories import ENVIRONMENT, UserRepository, git

pytestmark = pytest.mark.processes

HOOKS = ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc", "fsmonitor-watchman", "update")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def bait(tmp_path: Path, marker: Path) -> Path:
    script = tmp_path / "bait"
    script.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    script.chmod(0o755)
    return script


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    repository = UserRepository.make(tmp_path / "project")
    repository.write(".gitattributes", "* filter=bait diff=bait merge=bait text=auto\n")
    repository.commit("attributes")
    repository.write("src/app.py", "changed\n")
    return repository


CONFIGURATIONS = {
    "file system monitor": "[core]\n\tfsmonitor = {bait}\n",
    "hooks path": "[core]\n\thooksPath = {folder}\n",
    "included": "[include]\n\tpath = {folder}/included\n",
    "included by condition": '[includeIf "gitdir:/"]\n\tpath = {folder}/included\n',
    "clean filter": '[filter "bait"]\n\tclean = {bait}\n\tsmudge = {bait}\n\trequired = true\n',
    "filter process": '[filter "bait"]\n\tprocess = {bait}\n\trequired = true\n',
    "external diff": '[diff]\n\texternal = {bait}\n[diff "bait"]\n\tcommand = {bait}\n\ttextconv = {bait}\n',
    "merge driver": '[merge "bait"]\n\tdriver = {bait}\n',
    "ssh command": "[core]\n\tsshCommand = {bait}\n\tgitProxy = {bait}\n",
    "pager and editor": "[core]\n\tpager = {bait}\n\teditor = {bait}\n[pager]\n\tshow = {bait}\n\trev-list = {bait}\n",
    "alias": "[alias]\n\tls-files = !{bait}\n\trev-parse = !{bait}\n\tpack-objects = !{bait}\n\tconfig = !{bait}\n",
    "credential helper": "[credential]\n\thelper = !{bait}\n",
    "signature program": "[gpg]\n\tprogram = {bait}\n[log]\n\tshowSignature = true\n",
    "pack hook": "[uploadpack]\n\tpackObjectsHook = {bait}\n[core]\n\talternateRefsCommand = {bait}\n",
    "trace target": "[trace2]\n\tnormalTarget = {folder}/marker\n\teventTarget = {folder}/marker\n",
    "work tree elsewhere": "[core]\n\tworktree = {folder}/elsewhere\n",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
async def test_nothing_that_a_configuration_names_is_run(
    name: str, store: SnapshotStore, user: UserRepository, bait: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "README.md").write_text("from elsewhere")
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {bait}\n")
    for hook in HOOKS:
        (tmp_path / hook).symlink_to(bait)
        (user.folder / ".git" / "hooks" / hook).symlink_to(bait)
    user.add_config(CONFIGURATIONS[name].format(bait=bait, folder=tmp_path))
    plan = await store.pin(user.folder)
    of_commit = await store.pin(user.folder, WorkspaceMode.COMMIT, "main")
    inside = await store.pin(user.folder / "src")

    assert not (tmp_path / "marker").exists()
    assert plan.dirty_paths == ("src/app.py",)
    assert await store.read_files(plan.commit, ["README.md"]) == {"README.md": b"# A project\n"}
    assert await store.read_files(of_commit.commit, ["src/app.py"]) == {"src/app.py": b"print('hello')\n"}
    assert await store.read_files(inside.commit, ["app.py"]) == {"app.py": b"changed\n"}


def test_the_bait_works_when_git_is_used_carelessly(user: UserRepository, bait: Path, marker: Path) -> None:
    user.add_config(CONFIGURATIONS["file system monitor"].format(bait=bait))
    user.git("status")

    assert marker.exists()


def make_partial_clone(user: UserRepository, marker: Path, tmp_path: Path) -> tuple[Path, str]:
    """A clone without the contents of old files, whose remote is a program."""
    old = user.git("rev-parse", "HEAD:src/app.py").strip()
    user.commit("newer")
    user.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{user.folder}", "partial")
    partial = tmp_path / "partial"
    git(partial, "config", "remote.origin.url", f"ext::touch {marker}")
    git(partial, "config", "protocol.ext.allow", "always")
    return partial, old


async def test_a_partial_clone_is_not_completed_from_its_remote(
    store: SnapshotStore, user: UserRepository, marker: Path, tmp_path: Path
) -> None:
    partial, old = make_partial_clone(user, marker, tmp_path)
    (partial / "new.txt").write_text("new")
    plan = await store.pin(partial)

    assert not marker.exists()
    assert plan.dirty_paths == ("new.txt",)
    assert any("does not hold all of its objects" in note for note in plan.notes)
    assert len((await store.history(plan.commit)).commits) == 2
    subprocess.run(["git", "cat-file", "-p", old], cwd=partial, env=ENVIRONMENT, capture_output=True, check=False)
    assert marker.exists(), "the bait is dull"


async def test_replaced_objects_and_grafts_do_not_change_what_is_pinned(
    store: SnapshotStore, user: UserRepository
) -> None:
    user.commit("newer")
    blob = user.git("rev-parse", "HEAD:README.md").strip()
    other = git(user.folder, "hash-object", "-w", "--stdin", stdin=b"forged\n").decode().strip()
    user.git("replace", blob, other)
    (user.folder / ".git" / "info" / "grafts").write_text(f"{user.head}\n")
    plan = await store.pin(user.folder, WorkspaceMode.COMMIT)

    assert await store.read_files(plan.commit, ["README.md"]) == {"README.md": b"# A project\n"}
    assert len((await store.history(plan.commit)).commits) == 3


@pytest.fixture
def victim(tmp_path: Path) -> UserRepository:
    return UserRepository.make(tmp_path / "victim", **{"secret.txt": "secret"})


@pytest.fixture
async def fenced(tmp_path: Path, user: UserRepository) -> SnapshotStore:
    return await SnapshotStore.open(tmp_path / "fenced.git", WorkspaceRoots((user.folder,)))


async def test_a_workspace_cannot_point_at_a_repository_outside_the_roots(
    fenced: SnapshotStore, user: UserRepository, victim: UserRepository
) -> None:
    """Keeps E9."""
    lure = user.folder / "lure"
    lure.mkdir()
    (lure / ".git").write_text(f"gitdir: {victim.folder}/.git\n")
    linked = user.folder / "linked"
    linked.mkdir()
    (linked / ".git").symlink_to(victim.folder / ".git")
    common = user.folder / "common"
    (common / ".git").mkdir(parents=True)
    (common / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (common / ".git" / "commondir").write_text(f"{victim.folder}/.git\n")

    for folder in (lure, linked, common):
        with pytest.raises(RootNotAllowedError):
            await fenced.pin(folder, WorkspaceMode.COMMIT)


async def test_a_workspace_cannot_borrow_objects_from_outside_the_roots(
    fenced: SnapshotStore, user: UserRepository, victim: UserRepository
) -> None:
    """Keeps E9."""
    (user.folder / ".git" / "objects" / "info" / "alternates").write_text(f"{victim.folder}/.git/objects\n")
    with pytest.raises(RootNotAllowedError):
        await fenced.pin(user.folder, WorkspaceMode.COMMIT, victim.head)


LEADING_OUT = (
    "a quoted line in alternates",
    "alternates of alternates",
    "alternates behind a link",
    "objects/pack",
    "objects/aa",
    "packed-refs",
    "refs/heads",
    "refs/heads/stolen",
    "index",
    "config",
    "HEAD",
    "logs/HEAD",
    "shallow",
    "info/exclude",
    "info",
    "inner",
)


def lead_out(way: str, user: UserRepository, victim: UserRepository) -> None:
    git_folder = user.folder / ".git"
    alternates = git_folder / "objects" / "info" / "alternates"
    objects = victim.folder / ".git" / "objects"
    if way == "a quoted line in alternates":
        escaped = "".join(f"\\{ord(letter):03o}" for letter in str(objects))
        alternates.write_text(f'"{escaped}"\n')
    elif way == "alternates of alternates":
        (user.folder / "near" / "info").mkdir(parents=True)
        (user.folder / "near" / "info" / "alternates").write_text(f"{objects}\n")
        alternates.write_text("../../near\n")
    elif way == "alternates behind a link":
        (victim.folder / "list").write_text(f"{objects}\n")
        alternates.symlink_to(victim.folder / "list")
    elif way == "inner":
        (user.folder / "inner").mkdir()
        (user.folder / "inner" / ".git").write_text(f"gitdir: {victim.folder}/.git\n")
    else:
        victim.git("pack-refs", "--all")
        victim.git("repack", "-q", "-a", "-d")
        entry = git_folder / way
        entry.parent.mkdir(exist_ok=True)
        if entry.exists():
            entry.rename(user.folder / "moved")
        entry.symlink_to(victim.folder / ".git" / way)


@pytest.mark.parametrize("way", LEADING_OUT)
async def test_no_entry_of_a_git_folder_leads_outside_the_roots(
    way: str, fenced: SnapshotStore, user: UserRepository, victim: UserRepository
) -> None:
    """Keeps E9."""
    lead_out(way, user, victim)
    with pytest.raises(RootNotAllowedError):
        await fenced.pin(user.folder, WorkspaceMode.COMMIT, victim.head)


async def test_no_setting_outside_the_roots_is_read_or_told(
    fenced: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """Keeps E9."""
    (tmp_path / "secret").write_text(
        "[core]\n\tfilemode = secretvalue\n\texcludesFile = /etc/secretvalue\n[[secretvalue"
    )
    (tmp_path / "rules").write_text("*.secretvalue\n")
    user.write("a.secretvalue", "taken")
    user.add_config(f"[include]\n\tpath = {tmp_path}/secret\n[core]\n\texcludesFile = {tmp_path}/rules\n")
    plan = await fenced.pin(user.folder)

    assert "a.secretvalue" in plan.dirty_paths
    assert len([note for note in plan.notes if "only some roots" in note or "outside the allowed roots" in note]) == 2


async def test_a_repository_above_the_root_is_not_looked_at(tmp_path: Path, user: UserRepository) -> None:
    fenced = await SnapshotStore.open(tmp_path / "fenced.git", WorkspaceRoots((user.folder / "src",)))
    plan = await fenced.pin(user.folder / "src")

    assert plan.head_commit == ""
    assert await fenced.read_files(plan.commit, ["app.py"]) == {"app.py": b"changed\n"}


async def test_a_git_folder_that_is_none_does_not_stop_the_pinning(store: SnapshotStore, tmp_path: Path) -> None:
    for number, entry in enumerate([b"", b"gitdir: /nonexistent\n", b"\xff" * 100, b"gitdir: \n"]):
        folder = tmp_path / f"odd{number}"
        folder.mkdir()
        (folder / ".git").write_bytes(entry)
        (folder / "a.txt").write_text("a")

        assert await store.read_files((await store.pin(folder)).commit, ["a.txt"]) == {"a.txt": b"a"}


async def test_a_file_that_cannot_be_read_is_named(store: SnapshotStore, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "closed.txt").write_text("x")
    (folder / "closed.txt").chmod(0)
    plan = await store.pin(folder)

    assert any("closed.txt" in note for note in plan.notes)


async def test_a_commit_that_is_only_at_a_partial_clones_remote_is_not_fetched(
    store: SnapshotStore, user: UserRepository, marker: Path, tmp_path: Path
) -> None:
    partial, old = make_partial_clone(user, marker, tmp_path)
    for revision in ("1" * 40, old, "main:src/app.py"):
        with pytest.raises(InvalidRequestError):
            await store.pin(partial, WorkspaceMode.COMMIT, revision)

    assert not marker.exists()


async def test_an_older_commit_of_a_partial_clone_cannot_be_pinned(
    store: SnapshotStore, user: UserRepository, marker: Path, tmp_path: Path
) -> None:
    partial, _ = make_partial_clone(user, marker, tmp_path)
    with pytest.raises(InvalidRequestError, match="partial clone"):
        await store.pin(partial, WorkspaceMode.COMMIT, "HEAD~1")

    assert not marker.exists()


BLOCKING = (
    ".gitignore",
    ".gitattributes",
    "src/.gitignore",
    ".git/index",
    ".git/config",
    ".git/shallow",
    ".git/packed-refs",
    ".git/info/exclude",
    ".git/refs/heads/main",
    ".git/refs/heads/hooks/one",
    ".git/logs/HEAD",
    ".git/objects/info/alternates",
    "src/inner/.git/HEAD",
)


BEHIND_A_LINK = (".git/HEAD", ".git/config")


@pytest.mark.parametrize(
    ("name", "is_linked"), [*((name, False) for name in BLOCKING), *((name, True) for name in BEHIND_A_LINK)]
)
async def test_a_fifo_that_git_would_open_is_refused_before_git_is_asked(
    name: str, store: SnapshotStore, tmp_path: Path, *, is_linked: bool
) -> None:
    """E9: git would wait for a writer until its time is up, and its creation would keep a place from others."""
    user = UserRepository.make(tmp_path / "project")
    (user.folder / "src" / "inner").mkdir()
    git(user.folder / "src" / "inner", "init", "--quiet")
    bait = user.folder / name
    bait.parent.mkdir(exist_ok=True)
    bait.unlink(missing_ok=True)
    if is_linked:
        os.mkfifo(tmp_path / "fifo")
        bait.symlink_to(tmp_path / "fifo")
    else:
        os.mkfifo(bait)

    async with asyncio.timeout(20):
        with pytest.raises(InvalidRequestError) as refused:
            await store.pin(user.folder)

    assert f"under a name that git opens: {bait}" in str(refused.value)


async def test_a_configuration_that_never_ends_is_given_up_soon(
    store: SnapshotStore, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E9: what it includes may lie anywhere."""
    monkeypatch.setattr(settings, "CONFIGURATION_SECONDS", 0.3)
    os.mkfifo(tmp_path / "fifo")
    with (user.folder / ".git" / "config").open("a") as file:
        file.write(f"[include]\n\tpath = {tmp_path}/fifo\n")

    async with asyncio.timeout(20):
        with pytest.raises(InvalidRequestError, match="whose configuration git cannot read: git did not end"):
            await store.pin(user.folder)


async def test_ignore_rules_that_the_configuration_keeps_in_a_fifo_are_refused(
    store: SnapshotStore, user: UserRepository
) -> None:
    os.mkfifo(user.folder / "rules")
    git(user.folder, "config", "core.excludesFile", "rules")

    async with asyncio.timeout(20):
        with pytest.raises(InvalidRequestError, match=r"opens: .*/rules; remove it"):
            await store.pin(user.folder)


async def test_the_socket_of_gits_own_file_watcher_is_no_reason_to_refuse(
    store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(user.folder / ".git")
    with socket.socket(socket.AF_UNIX) as watcher:
        watcher.bind("fsmonitor--daemon.ipc")
        plan = await store.pin(user.folder)

    assert plan.dirty_paths == ("src/app.py",)
