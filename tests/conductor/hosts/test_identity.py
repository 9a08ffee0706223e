"""Checks which refusals of a host end a start of the conductor, and which it goes on above."""

import pytest

from conductor.errors import StorageError
from conductor.hosts.identity import Identity
from servicekit.statuses import Refusal

SUPERSEDED, TOO_FAR = "EPOCH_SUPERSEDED", "EPOCH_TOO_FAR"


def _told(reason: str, epoch: object) -> Refusal:
    return Refusal("ABORTED", "", reason=reason, metadata=(("epoch", str(epoch)),))


def _identity(epoch: int = 8, *, newest: bool = True) -> Identity:
    async def is_newest() -> bool:
        return newest

    return Identity("c1", epoch, is_newest)


@pytest.mark.parametrize("known", [9, 1008, 2**40])
async def test_the_newest_start_takes_a_host_back_at_its_first_answer(known: int) -> None:
    identity = _identity()
    assert not await identity.is_superseded(_told(SUPERSEDED, known))
    assert identity.epoch == known + 1


async def test_a_start_that_the_host_has_accepted_stops_for_a_higher_epoch() -> None:
    identity = _identity()
    identity.accept()
    assert await identity.is_superseded(_told(SUPERSEDED, 9))
    assert identity.epoch == 8


@pytest.mark.parametrize("reason", [SUPERSEDED, TOO_FAR])
async def test_a_start_whose_database_was_opened_again_stops(reason: str) -> None:
    assert await _identity(newest=False).is_superseded(_told(reason, 9))


async def test_a_start_that_cannot_read_its_database_stops() -> None:
    async def is_newest() -> bool:
        raise StorageError("the disk is gone")

    assert await Identity("c1", 8, is_newest).is_superseded(_told(SUPERSEDED, 9))


@pytest.mark.parametrize("told", ["", "-1", "x", "٣", 2**53, 2**62, 10**40])
async def test_an_epoch_out_of_reach_ends_a_start(told: object) -> None:
    assert await _identity().is_superseded(_told(SUPERSEDED, told))


async def test_the_refusal_of_an_earlier_request_changes_nothing() -> None:
    identity = _identity()
    assert not await identity.is_superseded(_told(SUPERSEDED, 9))
    assert not await identity.is_superseded(_told(SUPERSEDED, 9))
    assert identity.epoch == 10


async def test_a_start_too_far_above_goes_on_just_above_what_the_host_knows() -> None:
    identity = _identity(5000)
    identity.accept()
    assert not await identity.is_superseded(_told(TOO_FAR, 7))
    assert identity.epoch == 8


async def test_other_refusals_are_none_of_its_business() -> None:
    assert not await _identity(newest=False).is_superseded(Refusal("UNAVAILABLE", ""))
