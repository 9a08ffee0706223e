"""Keeps J2: which snapshots go, by age, by size and when room is short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.snapshots.eviction import SETTLING_SECONDS, Keeping, Kept, choose

DAY = 24 * 3600.0
KEEPING = Keeping(snapshots_bytes=100, snapshots_unused_seconds=10 * DAY)


def kept(name: str, days: float, size: int = 10, *, used: bool = False) -> Kept:
    return Kept(name, size, days * DAY, used)


@pytest.mark.parametrize(
    ("here", "shortage", "going"),
    [
        ([], 0, ()),
        ([kept("a", 9.9), kept("b", 10), kept("c", 30)], 0, ("c", "b")),
        ([kept("a", 30, used=True)], 0, ()),
        # By size: the longest unused first, and no more than needed.
        ([kept("a", 3, 50), kept("b", 5, 20), kept("c", 1, 40)], 0, ("b",)),
        ([kept("a", 3, 50), kept("b", 5, 5), kept("c", 1, 60)], 0, ("b", "a")),
        # What is in use counts, and stays.
        ([kept("a", 9, 90, used=True), kept("b", 1, 20)], 0, ("b",)),
        ([kept("a", 9, 200, used=True), kept("b", 8, 200, used=True)], 0, ()),
        # What came just now stays, whatever it takes: its Start is on the way.
        ([Kept("a", 200, SETTLING_SECONDS - 1), Kept("b", 200, SETTLING_SECONDS)], 0, ("b",)),
        # A disk that is short.
        ([kept("a", 1, 10), kept("b", 2, 10), kept("c", 3, 10)], 15, ("c", "b")),
        ([kept("a", 1, 10), kept("b", 2, 10)], -5, ()),
    ],
)
def test_the_longest_unused_go_first_and_no_more_than_must(
    here: list[Kept], shortage: int, going: tuple[str, ...]
) -> None:
    assert choose(here, KEEPING, shortage) == going


@given(
    st.lists(
        st.builds(Kept, st.uuids().map(str), st.integers(0, 60), st.floats(0, 20 * DAY), st.booleans()), max_size=12
    )
)
def test_what_is_used_or_new_never_goes_and_what_stays_is_within_bounds_as_far_as_may_be(here: list[Kept]) -> None:
    going = set(choose(here, KEEPING))
    stays = [one for one in here if one.commit not in going]

    assert not any(one.is_used or one.unused_seconds < SETTLING_SECONDS for one in here if one.commit in going)
    free = [one for one in stays if not one.is_used and one.unused_seconds >= SETTLING_SECONDS]
    assert sum(one.byte_count for one in stays) <= KEEPING.snapshots_bytes or not free
    assert all(one.unused_seconds < KEEPING.snapshots_unused_seconds for one in free)
