"""The clocks and the lease that a shim keeps by itself.

Run by root and, through test_ordinary_user, by others.
"""

import asyncio
import json
import os
import signal
import time

import pytest

from agenthost.attempt import shim_start
from tests.kit.attempts import Workbench, finish

pytestmark = pytest.mark.processes


async def test_the_wall_clock_ends_an_attempt(bench: Workbench) -> None:
    """Keeps D6."""
    done = await bench.run("sh", "-c", "while :; do echo busy; sleep 0.05; done", timeout_seconds=0.5)
    assert done.status.cause == "timeout"


async def test_silence_ends_an_attempt(bench: Workbench) -> None:
    done = await bench.run("sh", "-c", "echo once; sleep 100", idle_timeout_seconds=0.4, timeout_seconds=60)
    assert (done.status.cause, done.stdout) == ("idle_timeout", "once\n")


async def test_an_agent_that_never_says_a_byte_is_ended_by_a_clock_of_its_own(bench: Workbench) -> None:
    """Keeps C6: one byte, also on stderr, stops that clock for good."""
    mute = await bench.run("sleep", "100", first_output_timeout_seconds=0.4)
    late = await bench.run("sh", "-c", "echo once >&2; sleep 0.8; echo twice", first_output_timeout_seconds=0.6)

    assert mute.status.cause == "first_output_timeout"
    assert (late.status.cause, late.stdout) == ("exited", "twice\n")


async def test_an_attempt_without_a_conductor_ends(bench: Workbench) -> None:
    """Keeps D6: a connection is not a lease."""
    done = await bench.run("sleep", "100", orphan_timeout_seconds=0.4)
    assert done.status.cause == "orphaned"


async def test_a_renewed_lease_keeps_an_attempt(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "sleep 2; echo over", orphan_timeout_seconds=1) as attempt:
        while not attempt.has_ended:
            await attempt.renew_lease()
            await asyncio.sleep(0.1)
        assert (await finish(attempt)).status.cause == "exited"


async def test_a_shim_that_slept_gives_the_others_time_to_wake_up(bench: Workbench) -> None:
    """Keeps I4 and architecture rule 8: as when the machine was suspended, no daemon could renew the lease meanwhile."""
    async with await bench.spawn(
        "sh", "-c", "read -r l; echo got $l", keeps_stdin=True, orphan_timeout_seconds=1, idle_timeout_seconds=1
    ) as attempt:
        await attempt.wait_started()
        shim = int(json.loads(bench.spawned()[-1])["shim"])
        os.kill(shim, signal.SIGSTOP)
        woken = time.monotonic() + 2.5
        while time.monotonic() < woken:  # it is time itself that must pass
            await asyncio.sleep(0.1)
        os.kill(shim, signal.SIGCONT)
        assert await attempt.give_input(1, "through\n")
        done = await finish(attempt)
    assert (done.status.cause, done.stdout) == ("exited", "got through\n")


JUMPING = """
import runpy, sys, time
real, jumps = time.time_ns, [3600, -3600]
def jumping():
    jumps.reverse()
    return real() + jumps[0] * 10**9
time.time_ns, time.time = jumping, lambda: jumping() / 1e9
sys.argv[0] = {shim!r}
runpy.run_path({shim!r}, run_name="__main__")
"""


async def test_a_wall_clock_that_jumps_by_an_hour_changes_nothing_for_a_shim(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps I4: "wrong clock by an hour on either side"."""
    program = bench.folder / "jumping.py"
    program.write_text(JUMPING.format(shim=str(shim_start.SHIM)))
    monkeypatch.setattr(shim_start, "SHIM", program)
    done = await bench.run("sh", "-c", "echo fine; sleep 0.3", timeout_seconds=60, orphan_timeout_seconds=30)
    assert (done.status.cause, done.stdout) == ("exited", "fine\n")
    assert 0 < done.status.elapsed_seconds < 60
    written = json.loads((bench.folder / "attempt0" / "released.json").read_bytes())
    assert abs(written["time_ns"] - time.time_ns()) > 3000 * 10**9, "the clock did not jump"
