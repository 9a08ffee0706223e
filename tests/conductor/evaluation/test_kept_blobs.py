"""What was read lately is kept, within bounds."""

import pytest

from conductor.evaluation import kept_blobs
from conductor.evaluation.kept_blobs import KeptBlobs


def test_the_oldest_goes_where_there_are_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_blobs, "MAX_KEPT_BYTES", 100)
    blobs = KeptBlobs()
    for name in "abc":
        blobs.put(name, name.encode() * 30)
    blobs.get("a")
    blobs.put("d", b"d" * 30)

    assert [name for name in "abcd" if blobs.get(name)] == ["a", "c", "d"]


def test_what_is_kept_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_blobs, "MAX_KEPT_BYTES", 100)
    blobs = KeptBlobs()
    for _ in range(10):
        blobs.put("a", b"a" * 30)
    blobs.put("b", b"b" * 60)

    assert [blobs.get("a"), blobs.get("b")] == [b"a" * 30, b"b" * 60]


def test_one_that_is_very_large_is_not_kept() -> None:
    blobs = KeptBlobs()
    blobs.put("small", b"x")
    blobs.put("large", b"x" * (kept_blobs.MAX_KEPT_BLOB_BYTES + 1))

    assert blobs.get("large") is None
    assert blobs.get("small") == b"x"
