"""Packs as a conductor would push them, made of a user's repository by git itself."""

from collections.abc import AsyncIterator

from agenthost.snapshots.packs import Offer
from agenthost.snapshots.store import SnapshotStore
from tests.kit.repositories import UserRepository, git


def pack(user: UserRepository, *revisions: str) -> bytes:
    lines = "".join(f"{revision}\n" for revision in revisions).encode()
    return git(user.folder, "pack-objects", "--revs", "--stdout", "--thin", "-q", stdin=lines)


async def pieces(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def push(store: SnapshotStore, user: UserRepository, commit: str, *bases: str) -> int:
    data = pack(user, commit, *(f"^{base}" for base in bases))
    await store.receive(Offer(commit, bases=bases), pieces(data))
    return len(data)
