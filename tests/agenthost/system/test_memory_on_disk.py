"""Checks what a host must not forget: epochs, blocked ids, and what it began."""

from pathlib import Path

import pytest

from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.core.admission.admission import KEPT_SECONDS, Tombstone, TombstoneReason
from agenthost.errors import EpochSupersededError, InvalidRequestError
from agenthost.host.fences import Fences
from agenthost.host.tombstones import Tombstones


async def test_a_lower_epoch_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    """Keeps I2."""
    path = tmp_path / "fences"
    await Fences(path).admit("one", 7)
    with path.open("ab") as file:
        file.write(b'{"conductor": "one", "ep')  # a line that the power cut tore
    fences = Fences(path)

    with pytest.raises(EpochSupersededError, match="superseded by 7"):
        await fences.admit("one", 6)
    await fences.admit("one", 7)
    await fences.admit("one", 8)
    with pytest.raises(EpochSupersededError):
        await Fences(path).admit("one", 7)


async def test_epochs_of_different_conductors_do_not_compare(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences")
    await fences.admit("one", 7)
    await fences.admit("two", 1)
    await fences.admit("one", 7)


@pytest.mark.parametrize(
    ("conductor", "epoch", "field"),
    [
        ("", 1, "conductor_id"),
        ("a b", 1, "conductor_id"),
        ("x" * 65, 1, "conductor_id"),
        ("one", 0, "epoch"),
        ("one", -1, "epoch"),
    ],
)
async def test_who_asks_must_be_told(tmp_path: Path, conductor: str, epoch: int, field: str) -> None:
    with pytest.raises(InvalidRequestError, match=field):
        await Fences(tmp_path / "fences").admit(conductor, epoch)


async def test_a_spent_id_is_kept_for_a_day_and_over_restarts(tmp_path: Path) -> None:
    path, now = tmp_path / "stones", 1000.0
    stone = Tombstone("run-step-1", "one", TombstoneReason.RELEASED, now, "scripted", 9)
    await Tombstones(path, lambda: now).add(stone)

    assert Tombstones(path, lambda: now).find("run-step-1") == stone
    assert Tombstones(path, lambda: now + KEPT_SECONDS - 1).find("run-step-1") == stone
    assert Tombstones(path, lambda: now + KEPT_SECONDS).find("run-step-1") is None
    assert Tombstones(path, lambda: now).find("run-step-1") is None, "expired ones leave the disk at a restart"


async def test_a_stone_that_is_set_again_counts_from_then(tmp_path: Path) -> None:
    moment = [0.0]
    stones = Tombstones(tmp_path / "stones", lambda: moment[0])
    await stones.add(Tombstone("a", "one", TombstoneReason.UNKNOWN, 0.0))
    await stones.add(Tombstone("b", "one", TombstoneReason.UNKNOWN, 0.0))
    moment[0] = KEPT_SECONDS / 2
    await stones.add(Tombstone("a", "one", TombstoneReason.RELEASED, moment[0]))
    moment[0] = KEPT_SECONDS + 1
    await stones.add(Tombstone("c", "one", TombstoneReason.UNKNOWN, moment[0]))

    assert [stone.execution for stone in stones.all()] == ["a", "c"]


def test_what_was_begun_is_found_and_what_was_not_is_told_apart(tmp_path: Path) -> None:
    folders = AttemptFolders(tmp_path / "attempts")
    asked = StoredStart("one", b"start", "fingerprint")
    folders.create("run-step-1", asked)
    (tmp_path / "attempts" / "half-made").mkdir()
    (tmp_path / "attempts" / ".deleted.1").mkdir()
    found = AttemptFolders(tmp_path / "attempts").leftovers()

    assert [one for _, one in found if one] == [asked]
    assert len(found) == 2
    assert not (tmp_path / "attempts" / ".deleted.1").exists()
    for folder, _ in found:
        folders.remove(folder)
        folders.remove(folder)
    assert list((tmp_path / "attempts").iterdir()) == []
