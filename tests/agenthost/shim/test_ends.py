"""Ends attempts in real sandboxes, and checks what is kept of them.

Run by root and, through test_ordinary_user, by others.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from agenthost.attempt.launch import Launch
from agenthost.attempt.process import AttemptProcess
from agenthost.errors import ExecutionExistsError
from agenthost.shim.inspection import parent_of
from tests.kit.attempts import Workbench, finish, output
from tests.kit.processes import processes_with

pytestmark = pytest.mark.processes


async def test_an_agents_words_and_exit_code_are_kept(bench: Workbench) -> None:
    """Keeps D4."""
    done = await bench.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert (done.status.cause, done.status.exit_code, done.status.signal) == ("exited", 7, None)
    assert done.status.spool_length == (bench.folder / "attempt0" / "spool").stat().st_size


async def test_the_signal_that_kills_an_agent_is_told(bench: Workbench) -> None:
    """Keeps D4."""
    done = await bench.run("sh", "-c", "kill -9 $$")
    assert (done.status.cause, done.status.exit_code, done.status.signal) == ("exited", None, 9)


async def test_an_exit_code_that_looks_like_a_signal_is_not_one(bench: Workbench) -> None:
    """Keeps D4. Real agents exit with 144 and 145."""
    done = await bench.run("sh", "-c", "exit 144")
    assert (done.status.exit_code, done.status.signal) == (144, None)


async def test_an_agent_that_is_not_there_ends_with_127(bench: Workbench) -> None:
    done = await bench.run("no-such-agent")
    assert done.status.exit_code == 127
    assert "no-such-agent" in done.stderr


async def test_a_folder_serves_once(bench: Workbench) -> None:
    """Keeps I2."""
    await bench.run("true")
    again = Launch(execution="again", argv=("true",), tree=bench.tree)
    with pytest.raises(ExecutionExistsError):
        await AttemptProcess.spawn(bench.folder / "attempt0", again, bench.sandbox)
    assert len(bench.spawned()) == 1


async def test_cancelling_is_polite_first(bench: Workbench) -> None:
    """Keeps D6."""
    async with await bench.spawn(
        "sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.02; done"
    ) as attempt:
        await output(attempt, "up")
        await attempt.cancel("enough of it")
        done = await finish(attempt)
    assert (done.status.cause, done.status.message, done.status.exit_code) == ("cancelled", "enough of it", 5)
    assert done.stdout == "up\nbye\n"


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for depth in range(4):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        for name in ("HUP", "INT", "TERM"):
            signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
        os.execvp("sleep", ["sleep", sys.argv[1]])
print("up", flush=True)
time.sleep(1000)
"""


async def test_a_tree_that_ignores_term_and_hides_dies_all_the_same(bench: Workbench) -> None:
    """Keeps D6."""
    marker = f"3600.{os.getpid()}1"
    async with await bench.spawn(
        str(Path(sys.executable).resolve()), "-c", STUBBORN, marker, cancel_grace_seconds=0.3
    ) as attempt:
        await output(attempt, "up")
        while len(processes_with(f"sleep\0{marker}")) < 4:
            await asyncio.sleep(0.01)
        await attempt.cancel("die")
        done = await finish(attempt)
    assert processes_with(marker) == []
    assert (done.status.cause, done.status.signal) == ("cancelled", 9)


async def test_what_an_agent_leaves_behind_dies_with_it(bench: Workbench) -> None:
    """Keeps D6: also without any cancellation, and although it keeps the pipes open."""
    marker = f"3600.{os.getpid()}2"
    done = await bench.run("sh", "-c", f"(setsid sleep {marker} &) ; echo over")
    assert (done.status.exit_code, done.stdout) == (0, "over\n")
    assert processes_with(marker) == []


async def test_an_agent_that_stops_the_sandbox_itself_ends_all_the_same(bench: Workbench) -> None:
    script = "import ctypes; ctypes.CDLL(None).ptrace(16, 1, 0, 0); print('over')"
    done = await bench.run(str(Path(sys.executable).resolve()), "-I", "-S", "-c", script, timeout_seconds=60)
    assert (done.status.cause, done.status.exit_code, done.stdout) == ("exited", 0, "over\n")


@pytest.mark.long
@pytest.mark.parametrize("agent", ["sleep 100", "exit 3"])
async def test_an_attempt_whose_bubblewrap_was_stopped_ends_all_the_same(bench: Workbench, agent: str) -> None:
    """Keeps D6: neither a cancel nor a clock waits for a process that was stopped outside of the sandbox."""
    async with await bench.spawn("sh", "-c", f"read word; {agent}", keeps_stdin=True) as attempt:
        bubblewrap = await bubblewrap_of(attempt)
        os.kill(bubblewrap, signal.SIGSTOP)
        assert await attempt.give_input(1, "go\n")
        if agent == "sleep 100":
            await attempt.cancel("enough")
        ended = await finish(attempt)

    assert ended.status.cause == ("cancelled" if agent == "sleep 100" else "exited")
    assert not Path(f"/proc/{bubblewrap}").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_an_agent_whose_bubblewrap_was_killed_did_not_die_by_itself(bench: Workbench, number: int) -> None:
    """Keeps I1: the host's trouble, which a conductor tries again."""
    async with await bench.spawn("sh", "-c", "echo up; sleep 100") as attempt:
        await output(attempt, "up")
        os.kill(await bubblewrap_of(attempt), number)
        done = await finish(attempt)

    assert (done.status.cause, done.status.message) == ("sandbox_killed", f"signal {number:d}")
    assert done.stdout == "up\n"


async def test_a_bubblewrap_that_is_killed_while_we_end_the_agent_changes_nothing(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "trap '' TERM; echo up; sleep 100", cancel_grace_seconds=100) as attempt:
        await output(attempt, "up")
        await attempt.cancel("enough")
        assert not await attempt.give_input(1, "behind the cancel")
        os.kill(await bubblewrap_of(attempt), signal.SIGKILL)
        done = await finish(attempt)

    assert (done.status.cause, done.status.message) == ("cancelled", "enough")


# Itself, its group, which is that of the first process inside, and every process that it sees: bubblewrap is out of its reach.
@pytest.mark.parametrize("whom", ["$$", "0", "-1 1; kill -9 $$"])
async def test_an_agent_that_kills_all_it_can_is_still_its_own_end(bench: Workbench, whom: str) -> None:
    done = await bench.run("sh", "-c", f"kill -9 {whom}")
    assert (done.status.cause, done.status.signal) == ("exited", 9)


async def bubblewrap_of(attempt: AttemptProcess) -> int:
    confinement = await attempt.wait_started()
    assert confinement is not None
    return parent_of(parent_of(confinement.pid))


async def test_a_flood_ends_at_its_cap(bench: Workbench) -> None:
    """Keeps D5."""
    done = await bench.run("sh", "-c", "head -c 100000000 /dev/zero; sleep 100", max_output_bytes=1_000_000)
    assert done.status.cause == "output_too_large"
    assert len(done.stdout) == 1_000_000
    assert done.status.spool_length < 1_010_000
