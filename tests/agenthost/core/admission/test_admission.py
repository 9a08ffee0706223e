"""Checks by tables which request attaches, begins or is refused (I2)."""

import pytest

from agenthost.core.admission.admission import (
    KEPT_SECONDS,
    MAX_EXECUTIONS,
    OWN_BYTES,
    Claim,
    Room,
    Tombstone,
    TombstoneReason,
    UnheardEnd,
    attaches,
    expired,
    is_found,
)
from agenthost.errors import ExecutionExistsError, NoCapacityError, NotFoundError

CLAIM = Claim("one", "digest")
GONE = Tombstone("x", "one", TombstoneReason.RELEASED, 0.0)
SPENT = Tombstone("x", "one", TombstoneReason.UNKNOWN, 0.0)


@pytest.mark.parametrize(("known", "stone", "answer"), [(CLAIM, None, True), (CLAIM, GONE, True), (None, None, False)])
def test_a_start_attaches_to_what_is_known_and_begins_what_is_not(
    known: Claim | None, stone: Tombstone | None, *, answer: bool
) -> None:
    assert attaches("x", CLAIM, known, stone) is answer


@pytest.mark.parametrize(
    ("claim", "known", "stone", "why"),
    [
        (Claim("one", "other"), CLAIM, None, "known with other content"),
        (Claim("two", "digest"), CLAIM, None, "belongs to another conductor"),
        (CLAIM, None, GONE, "ran here and was released"),
        (CLAIM, None, SPENT, "resumed before it was started"),
    ],
)
def test_a_start_of_another_conductor_of_other_content_or_of_a_spent_id_is_refused(
    claim: Claim, known: Claim | None, stone: Tombstone | None, why: str
) -> None:
    with pytest.raises(ExecutionExistsError, match=why):
        attaches("x", claim, known, stone)


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
        (
            Room(slots=2, running=1, kept=1, promised_bytes=91, free_bytes=OWN_BYTES + 100),
            "the disk of host 'h' has 8 MiB free",
        ),
    ],
)
def test_a_start_without_a_place_is_told_what_is_taken(room: Room, why: str) -> None:
    with pytest.raises(NoCapacityError, match=why):
        room.require(10, "h")


def test_a_start_that_just_fits_is_let_in() -> None:
    Room(slots=2, running=1, kept=1, promised_bytes=90, free_bytes=OWN_BYTES + 100).require(10, "h")


def test_a_start_that_the_disk_cannot_take_is_told_the_figures_and_what_to_do() -> None:
    """Keeps architecture rule 16."""
    room = Room(slots=2, running=1, kept=1, promised_bytes=3 * 2**20, free_bytes=40 * 2**20)
    with pytest.raises(NoCapacityError) as caught:
        room.require(30 * 2**20, "h")

    assert "40 MiB free; 3 MiB are promised" in str(caught.value)
    assert "this attempt may write 30 MiB" in str(caught.value)
    assert "max_output_bytes" in caught.value.hint
    assert caught.value.metadata["promised_bytes"] == str(3 * 2**20)


@pytest.mark.parametrize(
    ("kept_seconds", "kept_bytes", "gone"),
    [
        (100, 1000, {}),
        (5, 1000, {"first", "second"}),
        (100, 45, {"first"}),  # the newest fill the room
        (100, 20, {"first", "second", "third"}),
        (0.5, 0, {"first", "second", "third"}),
    ],
)
def test_unacknowledged_ends_are_let_go_by_age_and_then_by_size(
    kept_seconds: float, kept_bytes: int, gone: set[str]
) -> None:
    """Keeps architecture rule 9."""
    ends = [UnheardEnd("third", 9.0, 21), UnheardEnd("first", 1.0, 10), UnheardEnd("second", 4.0, 20)]

    assert set(expired(ends, 10.0, kept_seconds, kept_bytes)) == set(gone)


def test_a_spent_id_counts_for_a_day() -> None:
    assert GONE.counts(KEPT_SECONDS - 1)
    assert not GONE.counts(KEPT_SECONDS)
