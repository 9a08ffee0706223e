"""Checks what callers that are no conductor can do at a host's port: nothing that keeps the conductor out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.api import first_message
from agenthost.errors import EpochSupersededError, EpochTooFarError, InvalidRequestError, NoCapacityError
from agenthost.host import fences as fences_module
from agenthost.host.fences import MAX_EPOCH, MAX_EPOCH_STEP, MAX_FIRST_EPOCH, Fences
from agenthost.system.files import append_lines
from servicekit.packs import pushes
from servicekit.packs.pushes import Push, Pushes


@pytest.mark.parametrize("made_up", [7 + MAX_EPOCH_STEP + 1, 2**31, 2**40, 2**53])
async def test_an_epoch_far_above_the_last_one_locks_nobody_out(tmp_path: Path, made_up: int) -> None:
    fences = Fences(tmp_path / "fences")
    await fences.admit("one", 7)
    with pytest.raises(EpochTooFarError) as refused:
        await fences.admit("one", made_up)
    await fences.admit("one", 7)
    await Fences(tmp_path / "fences").admit("one", 8)

    assert refused.value.metadata == {"epoch": "7"}


@pytest.mark.parametrize("epoch", [MAX_EPOCH + 1, 2**62, 2**63 - 1, 0, -1, -(2**63)])
async def test_an_epoch_that_no_conductor_can_have_is_refused(tmp_path: Path, epoch: int) -> None:
    with pytest.raises(InvalidRequestError, match="epoch"):
        await Fences(tmp_path / "fences").admit("one", epoch)


async def test_the_first_epoch_of_an_unknown_conductor_leaves_room_above(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences")
    with pytest.raises(EpochTooFarError):
        await fences.admit("one", MAX_FIRST_EPOCH + 1)
    await fences.admit("one", MAX_FIRST_EPOCH)
    with pytest.raises(EpochSupersededError) as refused:
        await fences.admit("one", 3)
    await fences.admit("one", MAX_FIRST_EPOCH + 1)

    assert refused.value.metadata == {"epoch": str(MAX_FIRST_EPOCH)}


async def test_a_fence_that_an_earlier_host_stored_out_of_reach_is_dropped(tmp_path: Path) -> None:
    for epoch in (7, 2**62):
        append_lines(tmp_path / "fences", f'{{"conductor": "one", "epoch": {epoch}}}\n'.encode())
    await Fences(tmp_path / "fences").admit("one", 8)


async def test_made_up_conductors_push_out_no_conductor_that_has_executions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fences_module, "MAX_CONDUCTORS", 10)
    fences = Fences(tmp_path / "fences", lambda: frozenset({"busy"}))
    await fences.admit("busy", 7)
    for number in range(30):
        await fences.admit(f"made-up-{number}", 1)

    for known in (fences, Fences(tmp_path / "fences")):
        with pytest.raises(EpochSupersededError):
            await known.admit("busy", 6)


class _Slow:
    """Says a byte now and then, and never ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(self._seconds)
        return b"x"


async def _read(push: Push, requests: AsyncIterator[bytes]) -> None:
    while (part := await push.next(requests)) is not None:
        push.count(len(part))


async def test_a_push_that_says_a_byte_now_and_then_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushes, "WAIT_SECONDS", 0.1)
    async with asyncio.timeout(5):
        with pytest.raises(NoCapacityError, match="and others wait"):
            await _read(Push("slow"), aiter(_Slow(0.02)))


async def test_a_slow_push_gives_its_place_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushes, "GIVES_WAY_SECONDS", 0.05)
    places = Pushes()

    async def push_slowly(name: str) -> None:
        push = Push(name)
        async with places.place(push):
            await _read(push, aiter(_Slow(0.02)))

    slow = [asyncio.create_task(push_slowly(f"slow-{number}")) for number in range(pushes.MAX_PUSHES)]
    await asyncio.sleep(0)
    with pytest.raises(NoCapacityError, match="being pushed already"):
        async with places.place(Push("early")):
            pass
    await asyncio.sleep(0.1)
    async with places.place(Push("conductor")):
        done, waiting = await asyncio.wait(slow, timeout=1, return_when=asyncio.FIRST_EXCEPTION)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)

    assert [type(task.exception()) for task in done] == [NoCapacityError]


async def test_one_conductor_takes_no_more_than_its_share_of_the_places() -> None:
    places = Pushes()
    async with places.place(Push("one")), places.place(Push("one")):
        with pytest.raises(NoCapacityError, match="this caller"):
            async with places.place(Push("one")):
                pass
        async with places.place(Push("two")):
            pass


async def test_a_call_that_says_nothing_ends() -> None:
    with pytest.raises(NoCapacityError, match="said nothing"):
        await first_message.first_of(aiter(_Slow(60)), 0.01)
