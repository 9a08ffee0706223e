"""Blocked ids: in force from the first word on, and told as blocked only when a restart would know it. Keeps B4 and C3."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agenthost.core.admission.admission import Tombstone, TombstoneReason
from agenthost.errors import StorageError
from agenthost.host import tombstones
from agenthost.host.tombstones import Tombstones
from agenthost.system.files import append_lines

STONE, OTHER = (Tombstone(name, "conductor", TombstoneReason.UNKNOWN, 5.0) for name in ("run-a-1", "run-b-1"))


@pytest.fixture
def blocked(tmp_path: Path) -> Tombstones:
    return Tombstones(tmp_path / "tombstones.jsonl", lambda: 10.0)


async def test_an_id_is_blocked_while_others_are_still_being_written(blocked: Tombstones) -> None:
    """A Start that arrives in that moment would run what its conductor is about to be told does not run."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(blocked.add(OTHER))
        waiting = tasks.create_task(blocked.add(STONE))
        await asyncio.sleep(0)

        assert not waiting.done()
        assert blocked.find(STONE.execution) == STONE


async def test_the_second_that_blocks_an_id_waits_until_it_is_on_the_disk(blocked: Tombstones, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(blocked.add(STONE))
        await asyncio.sleep(0)
        await blocked.add(STONE)

        assert Tombstones(tmp_path / "tombstones.jsonl", lambda: 10.0).find(STONE.execution) == STONE
    assert (tmp_path / "tombstones.jsonl").read_text().count(STONE.execution) == 1


async def test_what_cannot_be_written_is_not_blocked_and_both_callers_hear_of_it(
    blocked: Tombstones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "append_lines", _full)
    ends = await asyncio.gather(blocked.add(STONE), blocked.add(STONE), return_exceptions=True)

    assert [type(end) for end in ends] == [StorageError, StorageError]
    assert blocked.find(STONE.execution) is None


async def test_a_call_that_was_cut_off_leaves_the_id_blocked_and_the_next_one_writes_it(
    blocked: Tombstones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "append_lines", _after(asyncio.get_running_loop(), cut := asyncio.Event()))
    adding = asyncio.create_task(blocked.add(STONE))
    await cut.wait()
    adding.cancel()
    await asyncio.wait([adding])
    monkeypatch.undo()

    assert blocked.find(STONE.execution) == STONE
    await blocked.add(STONE)
    assert Tombstones(tmp_path / "tombstones.jsonl", lambda: 10.0).find(STONE.execution) == STONE


def _full(path: Path, _: bytes) -> None:
    raise StorageError(f"cannot write {path}")


def _after(loop: asyncio.AbstractEventLoop, begun: asyncio.Event) -> Callable[[Path, bytes], None]:
    def append(path: Path, lines: bytes) -> None:
        loop.call_soon_threadsafe(begun.set)
        append_lines(path.with_name("elsewhere"), lines)

    return append
