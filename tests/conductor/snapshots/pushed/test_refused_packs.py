"""Snapshots that callers push: what is refused, and what no caller learns. Keeps J5."""

from collections.abc import Callable

import pytest

from conductor.errors import SnapshotInvalidError
from conductor.snapshots.pushed import quarantine
from conductor.snapshots.pushed.caller_store import CallerStore
from servicekit.packs.scan import PackLimits
from tests.conductor.snapshots.pushed.pushing import INNER, INNER_OID, TEXT, TEXT_OID, UNKNOWN, left_of, push
from tests.kit.packs import (
    BLOB,
    BY_ID,
    BY_OFFSET,
    COMMIT,
    TREE,
    copied,
    crafted,
    history_pack,
    object_pack,
    offset,
    oid_of,
    raw_commit,
    raw_tree,
    written,
    written_pack,
)
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes


EMPTY_OID = oid_of("blob", b"")
ZERO = b"a\0b"


NOT_SOUND: dict[str, Callable[[bytes], bytes]] = {
    "a flipped byte": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "cut short": lambda data: data[:-30],
    "no pack": lambda _: b"hello" * 20,
    "something behind it": lambda data: data + b"x",
}


async def test_a_pack_that_is_not_sound_is_refused_and_leaves_nothing(anna: CallerStore, user: UserRepository) -> None:
    data = history_pack(user, user.head)
    for spoil in NOT_SOUND.values():
        with pytest.raises(SnapshotInvalidError):
            await push(anna, user.head, spoil(data))

        assert left_of(anna) == []
        assert await anna.find(user.head) is None


async def test_every_object_that_a_snapshot_needs_must_come(anna: CallerStore, user: UserRepository) -> None:
    oids = {name: user.git("rev-parse", f"HEAD{name}").strip() for name in ("", "^{tree}", ":src", ":src/app.py")}
    needed = {*user.git("rev-list", "--objects", "--no-object-names", "HEAD").split()}
    for oid in oids.values():
        with pytest.raises(SnapshotInvalidError):
            await push(anna, user.head, object_pack(user, *sorted(needed - {oid})))
    with pytest.raises(SnapshotInvalidError, match="or it is no commit"):
        await push(anna, UNKNOWN, history_pack(user, user.head))
    for oid in (oids["^{tree}"], oids[":src/app.py"]):
        with pytest.raises(SnapshotInvalidError, match="or it is no commit"):
            await push(anna, oid, history_pack(user, user.head))

    assert left_of(anna) == []


UNSAFE = {
    "parent folder": (("40000", b"..", INNER_OID),),
    "git folder": (("40000", b".git", INNER_OID),),
    "git folder in capitals": (("40000", b".GIT", INNER_OID),),
    "git file": (("100644", b".git", TEXT_OID),),
    "absolute": (("100644", b"/etc/cron.d/x", TEXT_OID),),
    "slash in a name": (("100644", b"../../x", TEXT_OID),),
    "empty name": (("100644", b"", TEXT_OID),),
    "long name": (("100644", b"n" * 256, TEXT_OID),),
    "same name twice": (("100644", b"a", TEXT_OID), ("100644", b"a", TEXT_OID)),
    "link and folder": (("120000", b"a", TEXT_OID), ("40000", b"a", INNER_OID)),
    "empty link": (("120000", b"a", EMPTY_OID),),
    "link with a zero byte": (("120000", b"a", oid_of("blob", ZERO)),),
}


async def test_a_tree_that_no_host_takes_is_refused(anna: CallerStore) -> None:
    for entries in UNSAFE.values():
        snapshot, data = crafted(*entries, blobs=(TEXT, b"", ZERO), trees=(INNER,))
        with pytest.raises(SnapshotInvalidError):
            await push(anna, snapshot, data)

        assert left_of(anna) == []


async def test_submodules_links_and_odd_names_are_taken(anna: CallerStore) -> None:
    entries = (
        ("100644", b"\xff\xfe", TEXT_OID),
        ("120000", b"link", TEXT_OID),
        ("160000", b"module", UNKNOWN),
        ("100755", b"new\nline", TEXT_OID),
    )
    snapshot, data = crafted(*sorted(entries, key=lambda entry: entry[1]), blobs=(TEXT,))

    assert (await push(anna, snapshot, data)).file_count == 4


async def test_a_tree_bomb_is_refused(anna: CallerStore) -> None:
    """Nine trees of ten entries are a billion files."""
    trees, inner = [INNER], INNER_OID
    for _ in range(9):
        trees.append(raw_tree(*(("40000", b"%d" % number, inner) for number in range(10))))
        inner = oid_of("tree", trees[-1])
    snapshot, data = crafted(("40000", b"all", inner), blobs=(TEXT,), trees=trees)
    with pytest.raises(SnapshotInvalidError, match="more than 500000 files"):
        await push(anna, snapshot, data)

    assert left_of(anna) == []


async def test_bombs_are_refused_before_git_reads_them(anna: CallerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("git was started")

    monkeypatch.setattr(quarantine, "_index", never)
    monkeypatch.setattr(quarantine, "LIMITS", PackLimits(depth=3, inflated_bytes=10_000_000))
    whole = written(BLOB, TEXT)
    chain = [whole]
    for _ in range(4):
        chain.append(written(BY_OFFSET, copied(len(TEXT), 1), base=offset(len(chain[-1]))))
    bombs = [
        written_pack([written(BLOB, bytes(20_000_000))]),
        written_pack([whole, written(BY_OFFSET, copied(len(TEXT), 2**40), base=offset(len(whole)))]),
        written_pack(chain),
        written_pack([], 4_000_000_000),
    ]
    for bomb in bombs:
        with pytest.raises(SnapshotInvalidError, match="refused"):
            await push(anna, UNKNOWN, bomb)


async def test_a_delta_builds_upon_no_base_that_git_would_have_to_hold_in_memory(
    anna: CallerStore, user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write("large", bytes(5000))
    await push(anna, user.commit("large"), history_pack(user, "HEAD"))
    monkeypatch.setattr(quarantine, "LIMITS", PackLimits(node_bytes=4000))
    base = bytes.fromhex(oid_of("blob", bytes(5000)))
    with pytest.raises(SnapshotInvalidError, match="builds upon 5000 bytes; at most 4000"):
        await push(anna, UNKNOWN, written_pack([written(BY_ID, copied(10, 1), base=base)]))


async def test_what_another_caller_pushed_helps_no_push_and_shows_in_none(
    anna: CallerStore, ben: CallerStore, user: UserRepository
) -> None:
    """An id is no key: a caller who knows one learns nothing of the object, not even that it is there."""
    secret = b"the secret of anna\n" * 50
    user.write("secret.txt", secret)
    await push(anna, user.commit("secret"), history_pack(user, "HEAD"))
    there, made_up = oid_of("blob", secret), UNKNOWN

    async def attempt(oid: str, *, as_base: bool) -> str:
        tree = raw_tree(("100644", b"stolen", oid))
        commit = raw_commit(oid_of("tree", tree))
        objects = [written(TREE, tree), written(COMMIT, commit)]
        if as_base:
            objects.append(written(BY_ID, copied(len(secret), 1), base=bytes.fromhex(oid)))
        with pytest.raises(SnapshotInvalidError) as refused:
            await push(ben, oid_of("commit", commit), written_pack(objects))
        return str(refused.value).replace(oid, "OID").replace(oid_of("tree", tree), "TREE")

    for as_base in (False, True):
        assert await attempt(there, as_base=as_base) == await attempt(made_up, as_base=as_base)
    assert left_of(ben) == []


async def test_a_delta_within_a_pack_names_no_base_by_its_id(anna: CallerStore) -> None:
    """Such chains have a length that no header tells."""
    delta = written(BY_ID, copied(len(TEXT), 1), base=bytes.fromhex(TEXT_OID))
    snapshot, _ = crafted(("100644", b"a", TEXT_OID))
    tree = raw_tree(("100644", b"a", TEXT_OID))
    objects = [written(BLOB, TEXT), written(TREE, tree), written(COMMIT, raw_commit(oid_of("tree", tree))), delta]
    with pytest.raises(SnapshotInvalidError, match="pushed no such object before"):
        await push(anna, snapshot, written_pack(objects))
    await push(anna, snapshot, written_pack(objects[:-1]))
    with pytest.raises(SnapshotInvalidError, match="base of the same pack by its id"):
        await push(anna, snapshot, written_pack(objects))
