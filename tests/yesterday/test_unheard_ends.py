"""I3, I6: ends on a host of f9ac01c that no conductor acknowledged are told by a host of today, in the same frames."""

import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import CONDUCTOR, Client, execution_id, make_repository
from tests.yesterday.archive import differences, recall, unpack
from tests.yesterday.ends import EPOCH, without_time
from tests.yesterday.host_world import listed, meet, reopened

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent / "f9ac01c"
THEN: Mapping[str, Any] = recall(HERE / "host.json.xz")
# What was never framed gets its time when it is, and no file tells when a shim was gone.
TIMELESS = {execution_id(step) for step in ("left", "shim_killed")}


@dataclass(frozen=True)
class Left:
    """A host's folder as it was left, and a repository to read."""

    folder: Path
    repository: Path


@pytest.fixture
def left() -> Iterator[Left]:
    with tempfile.TemporaryDirectory(prefix="ah-") as name:
        folder = Path(name)
        unpack(HERE / "host.tar.xz", folder / "data")
        yield Left(folder, make_repository(folder / "repository"))


def start_of(step: str) -> pb.Start:
    return pb.Start.FromString(b64decode(THEN["starts"][execution_id(step)]))


async def test_every_end_is_told_in_the_same_frames_after_any_number(left: Left) -> None:
    """Keeps I3, I6: success, failures, clocks, caps, refusals, damage, a lost shim, secrets that are masked."""
    told = await meet(left.folder, left.repository)

    assert differences(_lasting(THEN["frames"]), _lasting(told["frames"])) == []
    assert differences(_lasting(THEN["resumed"]), _lasting(told["resumed"])) == []
    assert told["frames"].keys() == THEN["frames"].keys()
    for moment in ("listed", "told"):
        assert differences(THEN[moment], told[moment]) == []


async def test_an_end_that_is_acknowledged_now_is_let_go_for_good(left: Left) -> None:
    async with reopened(left.folder, left.repository) as client:
        async with client.open(start=start_of("said"), epoch=EPOCH) as conversation:  # the same Start attaches
            await conversation.finish()
        for name in THEN["frames"].keys() - {execution_id("said")}:
            async with client.open(resume=pb.Resume(execution=name), epoch=EPOCH) as conversation:
                await conversation.finish()
        states = {execution["execution"]: execution["state"] for execution in await listed(client)}
        refusals = [
            await client.refused(start, epoch=EPOCH) for start in map(start_of, ("said", "exits", "shim_killed"))
        ]

    assert set(states.values()) == {"STATE_RELEASED"}
    assert states.keys() >= THEN["frames"].keys()
    assert list((left.folder / "data" / "attempts").iterdir()) == []
    assert [refusal.reason for refusal in refusals] == ["EXECUTION_EXISTS"] * 3


async def test_what_was_spent_fenced_or_never_begun_is_so_today(left: Left) -> None:
    """Keeps I2 over an upgrade: no id runs twice, no earlier start of a conductor is heard; what never ran may run."""
    async with reopened(left.folder, left.repository, proven=True) as client:
        spent = [await client.refused(start_of(step), epoch=EPOCH) for step in ("released", "burnt")]
        stale = await client.refused(start_of("said"), epoch=EPOCH - 1)
        other = await client.refused(client.start_of("say else", step="said"), epoch=EPOCH)
        stranger = await _resumed(client, "said", "conductor-2")
        start = client.start_of("say it", step="never_begun")
        async with client.open(start=start, epoch=EPOCH) as conversation:
            finished = await conversation.finish()

    assert [refusal.reason for refusal in spent] == ["EXECUTION_EXISTS"] * 2
    assert (stale.reason, other.reason, stranger) == ("EPOCH_SUPERSEDED", "EXECUTION_EXISTS", "EXECUTION_NOT_FOUND")
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert [spawn["execution"] for spawn in client.spawns()][-1] == start.execution


def _lasting(frames: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {name: list(without_time(told)) if name in TIMELESS else told for name, told in frames.items()}


async def _resumed(client: Client, step: str, conductor: str = CONDUCTOR) -> str:
    resume = pb.Resume(execution=execution_id(step))
    async with client.open(resume=resume, epoch=EPOCH, conductor=conductor) as conversation:
        return (await conversation.refusal()).reason
