"""Pushes of packs into the store of a caller, for tests."""

import hashlib
from pathlib import Path

from conductor.snapshots.pushed.caller_store import CallerStore, Offer
from conductor.snapshots.pushed.records import Record
from tests.kit.packs import oid_of, raw_tree

TEXT = b"some text\n"
TEXT_OID = oid_of("blob", TEXT)
INNER = raw_tree(("100644", b"a", TEXT_OID))
INNER_OID = oid_of("tree", INNER)
UNKNOWN = "c0ffee" * 6 + "abcd"


async def push(store: CallerStore, snapshot: str, data: bytes, shallow: tuple[str, ...] = ()) -> Record:
    digest = hashlib.sha256(data).hexdigest()
    async with store.receiving(digest, len(data)) as partial:
        partial.write(data[partial.received_bytes :])
        return await store.land(Offer(snapshot, shallow=shallow), partial)


def left_of(store: CallerStore) -> list[Path]:
    """Returns what a refused push left: no pack, no quarantine, no partial pack."""
    places = ("incoming", "quarantine", "objects/pack")
    return [path for place in places for path in (store._folder / place).rglob("*")]
