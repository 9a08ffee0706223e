"""Shims and those who speak to them: daemons that go, guests that say nonsense, a shim's own death.

Run by root and, through test_ordinary_user, by others.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.shims import is_alive
from tests.kit.attempts import PATIENCE_SECONDS, Workbench, finish, gone

pytestmark = pytest.mark.processes


async def test_garbage_on_the_control_socket_is_survived(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "read -r l; echo $l", keeps_stdin=True) as attempt:
        place = os.open(bench.folder / "attempt0", os.O_PATH)
        for garbage in GARBAGE:
            with socket.socket(socket.AF_UNIX) as guest:
                guest.connect(f"/proc/self/fd/{place}/control.sock")
                guest.settimeout(PATIENCE_SECONDS)
                assert _is_hung_up_on(guest, garbage)
        os.close(place)
        assert await attempt.give_input(1, "still here\n")
        assert (await finish(attempt)).stdout == "still here\n"


GARBAGE = (
    b"\0\xff\n",
    b"[]\n",
    b'{"do":"fly"}\n',
    b'{"do":"input"}\n',
    b'{"do":"input","number":"no","text":""}\n',
    b'{"do":"cancel"}\n',
    b"x" * 3_000_000,
)


def _is_hung_up_on(guest: socket.socket, garbage: bytes) -> bool:
    try:
        guest.sendall(garbage)
        while guest.recv(65536):
            pass
    except (BrokenPipeError, ConnectionResetError):
        pass
    return True


async def test_a_daemon_that_never_listens_hinders_no_other(bench: Workbench) -> None:
    """Keeps D10."""
    async with await bench.spawn("sh", "-c", "for i in $(seq 2000); do echo $i; done; echo over") as attempt:
        place = os.open(bench.folder / "attempt0", os.O_PATH)
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(f"/proc/self/fd/{place}/control.sock")
            done = await finish(attempt)
        os.close(place)
    assert done.stdout.endswith("2000\nover\n")


DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.kit.attempts import Workbench, output
async def main():
    bench = await Workbench.make(Path(sys.argv[1]))
    attempt = await bench.spawn("sh", "-c", "echo up; read -r l; echo got $l; exit 4", keeps_stdin=True)
    await output(attempt, "up")
    print("ready", flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


async def test_an_attempt_outlives_its_daemon_and_another_takes_it_over(tmp_path: Path) -> None:
    """Keeps the promise that agents go on while the daemon restarts."""
    with subprocess.Popen([sys.executable, "-c", DAEMON, tmp_path], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"ready\n"
        daemon.kill()
    folder = tmp_path / "attempt0"
    assert is_alive(folder)
    async with AttemptProcess.attach(folder) as attempt:
        assert not attempt.has_ended
        assert await attempt.give_input(1, "through\n")
        done = await finish(attempt)
    assert (done.stdout, done.status.exit_code) == ("up\ngot through\n", 4)
    async with AttemptProcess.attach(folder) as late:
        assert late.status() == done.status


async def test_a_shim_that_is_told_to_end_ends_its_agent_in_order(bench: Workbench) -> None:
    marker = f"3600.{os.getpid()}3"
    async with await bench.spawn("sleep", marker) as attempt:
        await attempt.wait_started()
        os.kill(_shim(bench), signal.SIGTERM)
        assert (await finish(attempt)).status.cause == "cancelled"
    await gone(marker)


def _shim(bench: Workbench) -> int:
    return int(json.loads(bench.spawned()[-1])["shim"])


async def test_a_killed_shim_takes_the_agent_along_and_is_known_as_lost(bench: Workbench) -> None:
    """Keeps D6."""
    marker = f"3600.{os.getpid()}4"
    async with await bench.spawn("sh", "-c", f"setsid sleep {marker} & setsid sleep {marker} & wait") as attempt:
        await attempt.wait_started()
        os.kill(_shim(bench), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await attempt.ended()
        assert attempt.is_lost
        assert attempt.status() is None
        assert not is_alive(bench.folder / "attempt0")
    await gone(marker)
