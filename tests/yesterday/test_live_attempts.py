"""I3, I6: what runs under a host of f9ac01c goes on under a host of today, and a conductor of today drives a host of f9ac01c.

The old host is real: its own code, its own shims, the real sandbox.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agenthost.running_host import make_repository
from tests.conductor.running_conductor import running_conductor
from tests.kit.flows import scripted
from tests.yesterday.crossing import SCRIPTS, WAITING, Crossing, cross
from tests.yesterday.old_host import serving_then, unpack_code

pytestmark = pytest.mark.processes

ARCHIVE = Path(__file__).parent / "f9ac01c" / "agenthost.tar.xz"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_code(ARCHIVE, tmp_path_factory.mktemp("then"))


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose sockets have short enough paths."""
    with tempfile.TemporaryDirectory(prefix="ah-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def crossing(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    repository = make_repository(tmp_path_factory.mktemp("repository") / "work")
    with tempfile.TemporaryDirectory(prefix="ah-") as folder:
        yield asyncio.run(cross(code, Path(folder), repository))


def test_their_processes_live_on_under_shims_of_then(crossing: Crossing, code: Path) -> None:
    """Keeps I6 over an upgrade."""
    assert [str(code) in line for line in crossing.command_lines] == [True] * len(WAITING)
    assert crossing.lived == [True] * 2 * len(WAITING)
    assert [crossing.states[step]["shimAlive"] for step in WAITING] == [True] * len(WAITING)
    for step, end in crossing.ends.items():
        before = crossing.heard[step].frames[0].started.attestation
        assert (end.attestation.pid, end.attestation.policy_digest) == (before.pid, before.policy_digest)
        assert end.attestation.snapshot_fingerprint_after == before.snapshot_fingerprint_before


def test_their_frames_go_on_with_the_next_number_and_lose_nothing(crossing: Crossing) -> None:
    """Keeps I3 over an upgrade: a line that was cut in the middle of a character is read whole."""
    assert crossing.replayed == [frame.SerializeToString() for frame in crossing.heard["talking"].frames]
    for step, now in crossing.now.items():
        first = len(crossing.heard[step].frames) + 1
        assert [frame.sequence for frame in now.frames] == list(range(first, first + len(now.frames)))
    assert crossing.said("halved") == "first\nü in two halves"
    assert crossing.said("ending") == "before\nafter\n"


def test_inputs_cancels_and_leases_of_today_are_understood(crossing: Crossing) -> None:
    """An input that was applied under the old host is not applied again; the lease is renewed beyond its first length."""
    assert crossing.said("talking") == "Grüße→\ninput: before\ninput: after\nend\n"
    assert {step: end.reason for step, end in crossing.ends.items()} == {
        "talking": "",
        "hanging": "CANCELLED",
        "halved": "",
        "thinking": "",
        "ending": "AGENT_EXIT_NONZERO",
    }


def test_an_agent_reaches_its_model_through_the_gateway_of_today(crossing: Crossing) -> None:
    """The door is the old shim's, the gateway of then is replaced, and what was used under both is added up."""
    assert crossing.said("thinking").count("fetch POST /v1/chat/completions: 200\n") == 2
    assert (crossing.ends["thinking"].model_use.requests, crossing.ends["thinking"].usage.output_tokens) == (2, 14)


def test_none_of_them_runs_twice(crossing: Crossing) -> None:
    """Keeps I2 over an upgrade."""
    assert (crossing.spawned, crossing.refusal) == (len(SCRIPTS), "EXECUTION_EXISTS")


async def test_a_host_of_then_serves_a_conductor_of_today(code: Path, short_path: Path) -> None:
    """Hosts of a pool are upgraded one after another, so both speak with one conductor for a while."""
    async with (
        serving_then(code, short_path / "data", f"unix:{short_path}/test.sock"),
        running_conductor(short_path, absent=("test",)) as running,
    ):
        step = scripted("look", "finding high a.txt 1 1 Title", "say Grüße→")
        run = await running.settled((await running.create(step)).name)

    assert (run.failure.reason, run.finding_counts.verified) == ("", 1)
    assert run.steps[0].attempts[0].confinement.checks
