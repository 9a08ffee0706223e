"""The spool's records, as they are read back: whatever was changed on the disk is found, and nothing that was written is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.damage import DamagedError
from agenthost.core.output.spool import MAX_RECORD_BYTES, RecordKind, SpoolReader
from agenthost.shim.spool import pack

payloads = st.lists(st.tuples(st.sampled_from([1, 2, 3, 9]), st.binary(max_size=40)), min_size=1, max_size=6)


def read(spool: bytes, size: int) -> list[tuple[int, bytes]]:
    reader = SpoolReader()
    pieces = [piece for start in range(0, len(spool), size) for piece in reader.feed(spool[start : start + size])]
    reader.finish()
    return [(piece.kind, piece.data) for piece in pieces]


@given(written=payloads, size=st.integers(1, 50))
def test_what_a_shim_packs_is_read_back_in_chunks_of_any_size(written: list[tuple[int, bytes]], size: int) -> None:
    spool = b"".join(pack(kind, data) for kind, data in written)
    found = read(spool, size)

    assert b"".join(data for _, data in found) == b"".join(data for _, data in written)
    assert [data for kind, data in found if kind == RecordKind.INPUT] == [
        data for kind, data in written if kind == RecordKind.INPUT and data
    ]


@given(written=payloads, size=st.integers(1, 50), data=st.data())
def test_a_byte_that_was_changed_anywhere_is_found(
    written: list[tuple[int, bytes]], size: int, data: st.DataObject
) -> None:
    """Keeps I4: bytes flipped by hand are named, never told as the agent's words to the end."""
    spool = bytearray(b"".join(pack(kind, payload) for kind, payload in written))
    spool[data.draw(st.integers(0, len(spool) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(DamagedError, match="spool: "):
        read(bytes(spool), size)


@given(written=payloads, data=st.data())
def test_a_whole_spool_that_ends_within_a_record_is_found(
    written: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    records = [pack(kind, payload) for kind, payload in written]
    cut = data.draw(st.integers(1, len(records[-1]) - 1))

    with pytest.raises(DamagedError, match="within a record"):
        read(b"".join(records)[:-cut], 7)


def test_a_length_that_was_never_written_is_not_waited_for() -> None:
    header = bytearray(pack(RecordKind.STDOUT, b"x"))
    header[1:5] = (MAX_RECORD_BYTES + 1).to_bytes(4, "little")

    with pytest.raises(DamagedError, match="no record begins at byte 0"):
        list(SpoolReader().feed(bytes(header)))
