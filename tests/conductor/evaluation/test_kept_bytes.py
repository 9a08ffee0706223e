"""The cache keeps the newest bytes, within bounds."""

import pytest

from conductor.evaluation.workers import kept_bytes
from conductor.evaluation.workers.kept_bytes import KeptBytes


def test_the_oldest_goes_where_there_are_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_bytes, "MAX_KEPT_BYTES", 100)
    pieces = KeptBytes()
    for name in "abc":
        pieces.put(name, name.encode() * 30)
    pieces.get("a")
    pieces.put("d", b"d" * 30)

    assert [name for name in "abcd" if pieces.get(name)] == ["a", "c", "d"]


def test_what_is_kept_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_bytes, "MAX_KEPT_BYTES", 100)
    pieces = KeptBytes()
    for _ in range(10):
        pieces.put("a", b"a" * 30)
    pieces.put("b", b"b" * 60)

    assert [pieces.get("a"), pieces.get("b")] == [b"a" * 30, b"b" * 60]


def test_one_that_is_very_large_is_not_kept() -> None:
    pieces = KeptBytes()
    pieces.put("small", b"x")
    pieces.put("large", b"x" * (kept_bytes.MAX_KEPT_PIECE_BYTES + 1))

    assert pieces.get("large") is None
    assert pieces.get("small") == b"x"
