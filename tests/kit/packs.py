"""Packs of git objects: made by git of a real repository, or by hand, with what git itself would never write."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence

from tests.kit.repositories import UserRepository, git

COMMIT, TREE, BLOB, TAG, BY_OFFSET, BY_ID = 1, 2, 3, 4, 6, 7


def history_pack(user: UserRepository, *revisions: str) -> bytes:
    """Returns the pack of everything below some revisions, built upon those with a `^`."""
    lines = "".join(f"{revision}\n" for revision in revisions).encode()
    return git(user.folder, "pack-objects", "--revs", "--stdout", "--thin", "-q", stdin=lines)


def object_pack(user: UserRepository, *oids: str) -> bytes:
    """Returns the pack of some objects and of nothing that they need."""
    lines = "".join(f"{oid}\n" for oid in oids).encode()
    return git(user.folder, "pack-objects", "--stdout", "-q", stdin=lines)


def written_pack(objects: Sequence[bytes], count: int | None = None) -> bytes:
    """Returns a pack of written objects, with a true digest at its end."""
    number = len(objects) if count is None else count
    data = b"PACK\0\0\0\x02" + number.to_bytes(4, "big") + b"".join(objects)
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def written(kind: int, content: bytes, size: int | None = None, base: bytes = b"") -> bytes:
    """Returns an object as it stands in a pack; `size` is what its header says, `base` the reference of a delta."""
    told = len(content) if size is None else size
    first, rest = kind << 4 | told & 15, told >> 4
    head = bytearray()
    while rest:
        head.append(first | 0x80)
        first, rest = rest & 0x7F, rest >> 7
    head.append(first)
    return bytes(head) + base + zlib.compress(content)


def offset(distance: int) -> bytes:
    """Returns the reference of a delta to an object so many bytes before it."""
    parts = [distance & 0x7F]
    while distance := distance >> 7:
        distance -= 1
        parts.append(0x80 | distance & 0x7F)
    return bytes(reversed(parts))


def number(value: int) -> bytes:
    """Returns a size as it stands in a delta."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes((*parts, value))


def copied(base_size: int, built_size: int) -> bytes:
    """Returns a delta that says it builds so much, and copies one byte of its base."""
    return number(base_size) + number(built_size) + b"\x90\x01"


def oid_of(kind: str, content: bytes) -> str:
    """Returns git's id of an object."""
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def raw_tree(*entries: tuple[str, bytes, str]) -> bytes:
    """Returns a tree of (mode, name, id) entries, in the order given."""
    return b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)


def raw_commit(tree: str, parents: Iterable[str] = ()) -> bytes:
    """Returns a commit of a tree."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += ["author A <a@example.org> 1700000000 +0000", "committer A <a@example.org> 1700000000 +0000"]
    return "\n".join([*lines, "", "crafted", ""]).encode()


def crafted(
    *entries: tuple[str, bytes, str], blobs: Sequence[bytes] = (), trees: Sequence[bytes] = ()
) -> tuple[str, bytes]:
    """Returns the id of a commit whose tree has these entries, and a pack of it with some blobs and trees."""
    tree = raw_tree(*entries)
    commit = raw_commit(oid_of("tree", tree))
    objects = [written(BLOB, blob) for blob in blobs] + [written(TREE, each) for each in (*trees, tree)]
    return oid_of("commit", commit), written_pack([*objects, written(COMMIT, commit)])
