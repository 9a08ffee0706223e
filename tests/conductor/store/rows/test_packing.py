"""Rule 14: what is packed comes back to the last bit; anything else is told from it, and is never more than a block can hold."""

import math
import random
import zlib

import pytest

from conductor.store.rows.packing import (
    MAX_ENTRIES,
    MAX_TEXT_BYTES,
    Entry,
    UnreadableBlockError,
    pack,
    unpack,
)

TIMES = (0.0, -0.0, -1.5, 1.0, 1e-300, 1.7e308, math.inf, 1_790_000_000.123456, 1_790_000_000.143457)


def entries(seed: int, count: int = 300) -> list[Entry]:
    chance = random.Random(seed)
    position, found = 0, []
    for _ in range(count):
        position += chance.choice((1, 1, 2, 200, 2**40))
        text = "".join(chance.choices("aé→𝄞 ", k=chance.randrange(9))).encode()
        found.append(Entry(position, chance.choice(TIMES), chance.randrange(5), text))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_what_is_packed_comes_back_to_the_last_bit(seed: int) -> None:
    packed = entries(seed)

    found = unpack(pack(packed))

    assert found == packed
    assert [math.copysign(1, one.time) for one in found] == [math.copysign(1, one.time) for one in packed]


def test_a_block_may_be_as_small_and_as_large_as_its_limits() -> None:
    for packed in (
        [Entry(1, 1.0, 0, b"")],
        [Entry(7, 1.0, 3, b"x" * MAX_TEXT_BYTES)],
        [Entry(2**62 - MAX_ENTRIES + at, -(10.0 ** (at % 300)), MAX_ENTRIES - at, b"") for at in range(MAX_ENTRIES)],
    ):
        assert unpack(pack(packed)) == packed


def test_words_every_20_ms_take_less_than_their_text() -> None:
    """Goal 7 of storage, without the rows around it: text that repeats itself as little as text does, times as clocks tell them."""
    chance = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(chance.choices(letters, range(22, 0, -1), k=chance.randint(2, 7))) for _ in range(MAX_ENTRIES)]
    said, now = [], 1_790_000_000.0
    for position in range(1, MAX_ENTRIES + 1):
        now = round(now + 0.02 + chance.gauss(0, 0.001), 6)
        said.append(Entry(position, now, 0, f"{chance.choice(words)} ".encode()))

    assert len(pack(said)) < 1.25 * sum(len(entry.text) for entry in said)


def read(data: bytes) -> list[Entry] | None:
    """Returns the content of a block; None where it says that it is damaged."""
    try:
        return unpack(data)
    except UnreadableBlockError:
        return None


@pytest.mark.parametrize("seed", range(2))
def test_bytes_that_changed_are_told(seed: int) -> None:
    """Keeps I5: whatever became of a block, it is told as damaged, by one kind of error."""
    chance = random.Random(seed)
    block = pack(entries(seed, 50))
    for _ in range(200):
        at = chance.randrange(len(block))
        flipped = block[:at] + bytes((block[at] ^ 1 << chance.randrange(8),)) + block[at + 1 :]
        for damaged in (flipped, block[:at], block + block[at:], chance.randbytes(at)):
            if damaged == block:
                continue
            # Some bits of a stream's head mean nothing; then nothing must have changed.
            assert read(damaged) in (None, unpack(block))


@pytest.mark.parametrize(
    ("boundaries", "text", "why"),
    [
        (b"", b"", "boundaries of 0 entries"),
        (b"\x00", b"", "boundaries of 0 entries"),
        (b"\x01\x00\x01\x01", b"a", "3 boundaries of 1 entries"),
        (b"\x01\x00\x01\x01\x80", b"a", "cut short"),
        (b"\x01\x00\x01\x02\x00", b"a", "1 bytes of text where 2 are named"),
        (b"\x02\x00\x00\x01\x00\x01\x00\x00\x00", b"a", "do not ascend"),
        (b"\x01\x00\x01\x01" + b"\xff" * 10 + b"\x01", b"a", "a time cannot be read"),
        (b"\x01" * 10**6, b"a", "too long"),
        (b"\x01\x00\x01\x01\x00", b"a" * 10**7, "too long"),
    ],
)
def test_boundaries_that_cannot_be_are_told(boundaries: bytes, text: bytes, why: str) -> None:
    with pytest.raises(UnreadableBlockError, match=why):
        unpack(zlib.compress(boundaries) + zlib.compress(text))
