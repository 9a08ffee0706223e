"""Pushes what a host must refuse: packs that are not sound, trees that are not safe, and too much. Keeps J2 and E3."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agenthost.errors import InvalidRequestError, PreconditionError, ProgramError, SnapshotInvalidError
from agenthost.snapshots import packs
from agenthost.snapshots.git import check
from agenthost.snapshots.packs import Offer
from agenthost.snapshots.store import SnapshotStore
from servicekit import snapshot_rules
from servicekit.programs import Completed
from tests.agenthost.packs import pack, pieces, push
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes

Spoil = Callable[[bytes], bytes]


SPOILED: dict[str, Spoil] = {
    "a flipped byte": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "cut short": lambda data: data[:-30],
    "no pack": lambda data: b"hello",
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("how", SPOILED)
async def test_a_pack_that_is_not_sound_is_refused_and_leaves_nothing(
    how: str, store: SnapshotStore, user: UserRepository
) -> None:
    data = SPOILED[how](pack(user, user.head))
    with pytest.raises(SnapshotInvalidError):
        await store.receive(Offer(user.head), pieces(data))

    assert list((store._folder / ".incoming").iterdir()) == []
    with pytest.raises(PreconditionError):
        store.locate(user.head)


async def test_a_pack_of_another_commit_or_without_some_object_is_refused(
    store: SnapshotStore, user: UserRepository
) -> None:
    """Keeps J2: the digest is verified."""
    first = user.git("rev-parse", "HEAD~1").strip()
    only_commit = git(user.folder, "pack-objects", "--stdout", "-q", stdin=f"{user.head}\n".encode())
    for data in (pack(user, first), only_commit, pack(user, user.head, f"^{first}")):
        with pytest.raises(SnapshotInvalidError):
            await store.receive(Offer(user.head), pieces(data))


async def test_a_thin_pack_without_some_object_is_refused(store: SnapshotStore, user: UserRepository) -> None:
    base = user.head
    await push(store, user, base)
    user.write("src/app.py", "newer\n")
    snapshot = user.commit("newer")
    oids = {name: user.git("rev-parse", f"HEAD{name}") for name in ("", "^{tree}", ":src", ":src/app.py")}
    for left_out in list(oids)[1:]:
        lines = "".join(oid for name, oid in oids.items() if name != left_out).encode()
        data = git(user.folder, "pack-objects", "--stdout", "-q", stdin=lines)
        with pytest.raises(SnapshotInvalidError):
            await store.receive(Offer(snapshot, bases=(base,)), pieces(data))
    data = git(user.folder, "pack-objects", "--stdout", "-q", stdin="".join(oids.values()).encode())

    assert (await store.receive(Offer(snapshot, bases=(base,)), pieces(data))).snapshot == snapshot


async def test_what_is_not_a_commit_is_refused(store: SnapshotStore, user: UserRepository) -> None:
    user.git("tag", "-a", "-m", "x", "v1")
    tag, of_tree = user.git("rev-parse", "v1").strip(), user.git("rev-parse", "HEAD^{tree}").strip()
    for oid in (tag, of_tree):
        with pytest.raises(SnapshotInvalidError):
            await store.receive(Offer(oid), pieces(pack(user, oid)))
    for text in ("", "HEAD", user.head.upper(), "../" + user.head[3:], user.head + "\n"):
        with pytest.raises(InvalidRequestError):
            await store.receive(Offer(text), pieces(b""))


def commit_of(user: UserRepository, *entries: tuple[str, bytes, str]) -> str:
    """A commit whose root tree is written byte by byte, as no honest git would."""
    raw = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    oid = git(user.folder, "hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=raw).decode().strip()
    return git(user.folder, "commit-tree", "-m", "crafted", oid).decode().strip()


EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


UNSAFE: dict[str, Callable[[str, str], tuple[tuple[str, bytes, str], ...]]] = {
    "parent folder": lambda blob, folder: (("40000", b"..", folder),),
    "this folder": lambda blob, folder: (("40000", b".", folder),),
    "git folder": lambda blob, folder: (("40000", b".git", folder),),
    "git folder in capitals": lambda blob, folder: (("40000", b".GIT", folder),),
    "git file": lambda blob, folder: (("100644", b".git", blob),),
    "absolute": lambda blob, folder: (("100644", b"/etc/cron.d/x", blob),),
    "slash in a name": lambda blob, folder: (("100644", b"../../x", blob),),
    "empty name": lambda blob, folder: (("100644", b"", blob),),
    "long name": lambda blob, folder: (("100644", b"n" * 256, blob),),
    "same name twice": lambda blob, folder: (("100644", b"a", blob), ("100644", b"a", blob)),
    "link and folder": lambda blob, folder: (("120000", b"a", blob), ("40000", b"a", folder)),
    "folder and link": lambda blob, folder: (("40000", b"a", folder), ("120000", b"a", blob)),
    "empty link": lambda blob, folder: (("120000", b"a", EMPTY_BLOB),),
}


@pytest.mark.parametrize("how", UNSAFE)
async def test_a_tree_that_is_not_safe_is_refused_and_writes_nothing(
    how: str, store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    git(user.folder, "hash-object", "-w", "--stdin")
    blob, folder = user.git("rev-parse", "HEAD:README.md").strip(), user.git("rev-parse", "HEAD:src").strip()
    snapshot = commit_of(user, *UNSAFE[how](blob, folder))
    # By ids: git would not walk some of these trees itself.
    oids = [snapshot, f"{snapshot}^{{tree}}", blob, folder, f"{folder}:app.py", EMPTY_BLOB]
    lines = user.git("rev-parse", *oids).encode()
    data = git(user.folder, "pack-objects", "--stdout", "-q", stdin=lines)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(SnapshotInvalidError):
        await store.receive(Offer(snapshot), pieces(data))

    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


async def test_limits_are_kept(store: SnapshotStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack(user, user.head)
    for module, name, value in (
        (snapshot_rules, "MAX_FILES", 4),
        (snapshot_rules, "MAX_TOTAL_BYTES", 1000),
        (snapshot_rules, "MAX_FILE_BYTES", 1000),
        (packs, "MAX_PACK_BYTES", 1000),
    ):
        monkeypatch.setattr(module, name, value)
        with pytest.raises(SnapshotInvalidError, match=r"larger than|more than"):
            await store.receive(Offer(user.head), pieces(data))
        monkeypatch.undo()
    await store.receive(Offer(user.head), pieces(data))


async def test_a_base_that_is_gone_is_said_to_be(store: SnapshotStore, user: UserRepository) -> None:
    first = user.git("rev-parse", "HEAD~1").strip()
    with pytest.raises(PreconditionError) as caught:
        await push(store, user, user.head, first)

    assert caught.value.reason == "BASE_MISSING"


def nested(user: UserRepository, levels: int, width: int) -> list[str]:
    """Trees, each of which holds the one before it so many times: the ids of all, the outermost last."""
    oids = [user.git("rev-parse", "HEAD:src").strip()]
    for _ in range(levels):
        raw = b"".join(b"40000 %d\0" % number + bytes.fromhex(oids[-1]) for number in range(width))
        oids.append(git(user.folder, "hash-object", "-t", "tree", "-w", "--stdin", stdin=raw).decode().strip())
    return oids


async def test_a_tree_bomb_is_refused_for_good_and_names_the_limit(store: SnapshotStore, user: UserRepository) -> None:
    """Keeps J2: nine trees of ten entries are a billion files."""
    oids = nested(user, levels=9, width=10)
    snapshot = git(user.folder, "commit-tree", "-m", "bomb", oids[-1]).decode().strip()
    with pytest.raises(SnapshotInvalidError, match="more than 500000 files") as caught:
        await store.receive(Offer(snapshot), pieces(pack(user, snapshot)))

    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "SNAPSHOT_INVALID")
    assert list((store._folder / ".incoming").iterdir()) == []


def test_a_git_that_breaks_down_over_a_snapshot_blames_the_snapshot() -> None:
    """Git follows trees by recursion: 60,000 folders in each other end its stack."""
    with pytest.raises(SnapshotInvalidError, match="nested too deeply"):
        check("rev-list", Completed(-signal.SIGSEGV, b"", b""))
    with pytest.raises(ProgramError, match="signal 6"):
        check("rev-list", Completed(-signal.SIGABRT, b"", b""))
