"""Who attaches, who begins, who is refused, as tables (I2)."""

import pytest

from agenthost.core.reception import (
    KEPT_SECONDS,
    MAX_EXECUTIONS,
    UNHEARD_SECONDS,
    Burial,
    Claim,
    Room,
    Tombstone,
    attaches,
    is_found,
    is_unheard,
)
from agenthost.errors import ExecutionExistsError, NoCapacityError, NotFoundError

CLAIM = Claim("one", "digest")
GONE = Tombstone("x", "one", Burial.RELEASED, 0.0)
SPENT = Tombstone("x", "one", Burial.UNKNOWN, 0.0)


@pytest.mark.parametrize(("known", "stone", "answer"), [(CLAIM, None, True), (CLAIM, GONE, True), (None, None, False)])
def test_a_start_attaches_to_what_is_known_and_begins_what_is_not(
    known: Claim | None, stone: Tombstone | None, *, answer: bool
) -> None:
    assert attaches("x", "digest", known, stone) is answer


@pytest.mark.parametrize(
    ("digest", "known", "stone", "why"),
    [
        ("other", CLAIM, None, "known with other content"),
        ("digest", None, GONE, "ran here and was released"),
        ("digest", None, SPENT, "asked for before it was started"),
    ],
)
def test_a_start_of_other_content_or_of_a_spent_id_is_refused(
    digest: str, known: Claim | None, stone: Tombstone | None, why: str
) -> None:
    with pytest.raises(ExecutionExistsError, match=why):
        attaches("x", digest, known, stone)


def test_a_resume_finds_its_own_conductors_execution_and_no_other() -> None:
    assert is_found("x", "one", CLAIM)
    assert not is_found("x", "one", None)
    with pytest.raises(NotFoundError, match="no execution 'x'"):
        is_found("x", "two", CLAIM)


@pytest.mark.parametrize(
    ("room", "why"),
    [
        (Room(slots=2, running=2, kept=2, promised_bytes=0, free_bytes=100), "all 2 slots of host 'h'"),
        (Room(slots=2, running=0, kept=MAX_EXECUTIONS, promised_bytes=0, free_bytes=100), "executions are kept"),
        (Room(slots=2, running=1, kept=1, promised_bytes=91, free_bytes=100), "no room for the output"),
    ],
)
def test_a_start_without_a_place_is_told_what_is_taken(room: Room, why: str) -> None:
    with pytest.raises(NoCapacityError, match=why):
        room.require(10, "h")


def test_a_start_that_just_fits_is_let_in() -> None:
    Room(slots=2, running=1, kept=1, promised_bytes=90, free_bytes=100).require(10, "h")


def test_a_spent_id_counts_for_a_day_and_an_end_waits_for_a_week() -> None:
    assert GONE.counts(KEPT_SECONDS - 1)
    assert not GONE.counts(KEPT_SECONDS)
    assert is_unheard(0.0, UNHEARD_SECONDS + 1, attended=False)
    assert not is_unheard(0.0, UNHEARD_SECONDS, attended=False)
    assert not is_unheard(0.0, UNHEARD_SECONDS + 1, attended=True)
