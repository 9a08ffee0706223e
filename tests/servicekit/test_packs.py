"""Measuring packs before git builds anything of them. Keeps J5."""

import io
import zlib
from pathlib import Path

import pytest

from servicekit.packs.scan import PackError, PackLimits, scan_pack
from tests.kit.packs import BLOB, BY_ID, BY_OFFSET, COMMIT, copied, history_pack, number, offset, written, written_pack
from tests.kit.repositories import UserRepository

SMALL = PackLimits(objects=20, inflated_bytes=5000, object_bytes=4000, node_bytes=2000, depth=3)
WHOLE = written(BLOB, b"x" * 100)


def chain(length: int) -> list[bytes]:
    objects = [WHOLE]
    for _ in range(length):
        objects.append(written(BY_OFFSET, copied(100, 1), base=offset(len(objects[-1]))))
    return objects


REFUSED = {
    "nothing": (b"", "ends too early"),
    "no pack": (b"hello" * 10, "begin as a pack"),
    "another version": (b"PACK\0\0\0\x03" + bytes(30), "begin as a pack"),
    "too many objects": (written_pack([WHOLE] * 21), "21 objects; at most 20"),
    "fewer objects than it says": (written_pack([WHOLE], 2), "it "),
    "more objects than it says": (written_pack([WHOLE, WHOLE], 1), "bytes follow its end"),
    "no end": (written_pack([WHOLE])[:-1], "ends too early"),
    "cut in an object": (written_pack([WHOLE])[:20], "ends too early"),
    "a small object that becomes large": (written_pack([written(BLOB, bytes(5_000_000), 100)]), "larger than it says"),
    "an object of ten gigabytes": (written_pack([written(BLOB, b"x", 10 * 1024**3)]), "at most 4000"),
    "a commit that git would hold in memory": (written_pack([written(COMMIT, bytes(3000))]), "at most 2000"),
    "less than it says": (written_pack([written(BLOB, b"x", 100)]), "smaller than it says"),
    "a delta that builds gigabytes": (
        written_pack([WHOLE, written(BY_OFFSET, copied(100, 2**34), base=offset(len(WHOLE)))]),
        "at most 2000",
    ),
    "many objects that are large together": (written_pack([written(BLOB, bytes(3000))] * 2), "builds more"),
    "a chain that is too long": (written_pack(chain(4)), "chain of deltas is longer than 3"),
    "a delta upon the middle of an object": (
        written_pack([WHOLE, written(BY_OFFSET, copied(100, 1), base=offset(len(WHOLE) - 1))]),
        "no object before it",
    ),
    "a delta upon what is before the pack": (
        written_pack([WHOLE, written(BY_OFFSET, copied(100, 1), base=offset(10_000))]),
        "no object before it",
    ),
    "a small delta upon what git would hold in memory": (
        written_pack([large := written(BLOB, bytes(3000)), written(BY_OFFSET, copied(1, 1), base=offset(len(large)))]),
        "builds upon 3000 bytes; at most 2000",
    ),
    "a delta without sizes": (written_pack([WHOLE, written(BY_ID, b"\x80", base=bytes(20))]), "without sizes"),
    "an unknown kind": (written_pack([written(5, b"x")]), "unknown kind 5"),
    "a size without an end": (b"PACK\0\0\0\x02\0\0\0\x01" + b"\xff" * 40, "no size"),
    "an offset without an end": (written_pack([WHOLE, b"\xe0\x01" + b"\xff" * 40]), "no offset"),
    "what is not compressed": (written_pack([b"\x31" + b"garbage" * 10]), "not compressed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pack_that_git_must_not_read_is_refused(name: str) -> None:
    data, why = REFUSED[name]
    with pytest.raises(PackError, match=why):
        scan_pack(io.BytesIO(data), SMALL)


def test_it_tells_what_git_will_build() -> None:
    base = bytes(range(20))
    objects = [*chain(3), written(BY_ID, number(7) + number(1500) + b"\x90\x01", base=base)]
    facts = scan_pack(io.BytesIO(written_pack(objects)), SMALL)

    assert (facts.objects, facts.bases) == (5, frozenset({base.hex()}))
    assert facts.inflated_bytes > 1500 + 100 + 3


@pytest.mark.processes
def test_it_reads_every_pack_of_git_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = UserRepository.make(tmp_path / "project")
    for round_ in range(8):
        user.write(
            "large.txt", "".join(f"line {number} {round_ if number % 97 == 0 else ''}\n" for number in range(3000))
        )
        user.write(f"file{round_}.bin", zlib.compress(bytes(range(256)) * round_))
        user.commit(f"round {round_}")
    data = history_pack(user, "HEAD")
    found = set()
    for size in (1, 7, 4096, 256 * 1024):
        monkeypatch.setattr("servicekit.packs.scan.FIRST_BYTES", size)
        monkeypatch.setattr("servicekit.packs.scan.PIECE_BYTES", max(size, 64))
        found.add(scan_pack(io.BytesIO(data), PackLimits()))

    assert len(found) == 1
    assert {facts.objects for facts in found} == {int.from_bytes(data[8:12], "big")}
