"""Checks what is refused before an agent runs, and what is reported of one that does.

Run by root and, through test_ordinary_user, by others.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agenthost.shim.confinement import NICENESS
from tests.kit.attempts import PATIENCE_SECONDS, Workbench, finish, gone, records, replace_bwrap
from tests.kit.processes import processes_with

pytestmark = pytest.mark.processes


async def test_the_confinement_is_told_when_the_agent_is_let_go(bench: Workbench) -> None:
    """Keeps E6."""
    async with await bench.spawn("sleep", "100") as attempt:
        confinement = await attempt.wait_started()
        assert confinement is not None
        facts = Path(f"/proc/{confinement.pid}/status").read_text()
        users = next(line for line in facts.splitlines() if line.startswith("Uid:")).split()[1:]
        assert users == [str(confinement.uid)] * 4
        assert confinement.uid != 0
        assert confinement.argv == ("sleep", "100")
        assert confinement.mechanism.startswith("bubblewrap ")
        assert len(confinement.policy_digest) == 64
        assert any(check.startswith("network: none") for check in confinement.checks)
        await attempt.cancel("enough")
        assert (await finish(attempt)).status.attestation == confinement


async def test_an_agent_comes_after_those_who_wait_for_what_it_says(bench: Workbench) -> None:
    """Keeps D10: agents that take all the processors there are hold up no stream."""
    async with await bench.spawn("sleep", "100") as attempt:
        confinement = await attempt.wait_started()
        assert confinement is not None
        assert os.getpriority(os.PRIO_PROCESS, confinement.pid) == NICENESS
        session = Path(f"/proc/{confinement.pid}/autogroup")
        if session.exists() and (told := session.read_text()).strip():
            assert told.endswith(f"nice {NICENESS}\n")
            assert told != Path("/proc/self/autogroup").read_text()
        await attempt.cancel("enough")


async def test_each_attempt_has_a_user_of_its_own_where_the_host_is_root(bench: Workbench) -> None:
    """Keeps E3: what the kernel counts for a user is not shared."""
    async with await bench.spawn("sleep", "100") as one, await bench.spawn("sleep", "100") as other:
        started = [await attempt.wait_started() for attempt in (one, other)]
        users = {attestation.uid for attestation in started if attestation}
        assert len(users) == (2 if os.getuid() == 0 else 1)
        for attempt in (one, other):
            await attempt.cancel("enough")


async def test_each_release_is_written_down_once(bench: Workbench) -> None:
    """Keeps I2: the spawn oracle."""
    await bench.run("true")
    await bench.run("true")
    assert [json.loads(line)["execution"] for line in bench.spawned()] == ["attempt0", "attempt1"]


@pytest.mark.parametrize("kind", ["fifo", "socket"])
async def test_a_snapshot_with_a_special_file_is_refused(bench: Workbench, kind: str) -> None:
    """Keeps E2: a FIFO in a read-only mount still leads out."""
    (bench.tree / "deep").mkdir()
    if kind == "fifo":
        os.mkfifo(bench.tree / "deep" / "door")
    else:
        with socket.socket(socket.AF_UNIX) as door:
            monkey = os.open(bench.tree / "deep", os.O_PATH)
            door.bind(f"/proc/self/fd/{monkey}/door")
            os.close(monkey)
    done = await bench.run("true")
    assert done.status.cause == "sandbox_refused"
    assert "door" in done.status.message
    assert bench.spawned() == []


async def test_a_shim_killed_in_mid_set_up_leaves_nothing_and_lets_nothing_run(bench: Workbench) -> None:
    """Keeps E2: what runs was released, whenever its keeper dies. The delays cover the whole set-up, which takes some 40 ms."""
    marker = f"3600.{os.getpid()}5"
    released = 0
    for round_ in range(50):
        place = f"attempt{round_}"
        async with await bench.spawn("sh", "-c", f"echo ran; exec sleep {marker}") as attempt:
            await asyncio.sleep(round_ * 0.0012)
            async with asyncio.timeout(PATIENCE_SECONDS):
                # Repeated, because a process that was just born may have no command line yet.
                while not attempt.has_ended:
                    for shim in processes_with(f"{bench.folder}/{place}"):
                        with contextlib.suppress(ProcessLookupError):
                            # Its children show the same command line until they become something else.
                            if os.getsid(shim) == shim:
                                os.kill(shim, signal.SIGKILL)
                    await asyncio.sleep(0.001)
            names = [json.loads(line)["execution"] for line in bench.spawned()]
            released += place in names
            assert attempt.is_lost
            assert place in names or records(attempt) == []
    await gone(marker)
    await gone(str(bench.folder))
    assert released < 50, "every kill came too late to test the set-up"


async def test_a_sandbox_that_cannot_be_made_refuses_with_its_own_words(bench: Workbench) -> None:
    """Keeps E2."""
    bench.sandbox = replace_bwrap(
        bench.sandbox,
        bench.folder / "bin",
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n",
    )
    done = await bench.run("true")
    assert (done.status.cause, done.status.message) == (
        "sandbox_refused",
        "bwrap: No permissions to create new namespace",
    )
    assert (done.status.exit_code, done.status.signal, done.records) == (None, None, [])
    assert bench.spawned() == []


async def test_a_sandbox_that_is_slow_is_ended_and_interrupted(bench: Workbench) -> None:
    """Keeps E2: the set-up has a wall limit."""
    marker = f"3600.{os.getpid()}6"
    bench.sandbox = replace_bwrap(bench.sandbox, bench.folder / "bin", f"#!/bin/sh\nexec sleep {marker}\n")
    done = await bench.run("true", setup_seconds=0.3)
    assert (done.status.cause, done.status.message) == ("set_up_interrupted", "the sandbox was not ready within 0.3 s")
    assert bench.spawned() == []
    await gone(marker)


async def test_a_sandbox_program_that_is_killed_in_mid_set_up_lets_nothing_run(bench: Workbench) -> None:
    """Keeps E2."""
    bench.sandbox = replace_bwrap(bench.sandbox, bench.folder / "bin", "#!/bin/sh\nkill -9 $$\n")
    done = await bench.run("sh", "-c", "echo ran")
    assert (done.status.cause, done.records) == ("set_up_interrupted", [])
    assert done.status.message == "the sandbox ended before it was ready, without a message (signal 9)"
    assert bench.spawned() == []


async def test_a_sandbox_program_that_is_not_there_refuses(bench: Workbench) -> None:
    """Keeps E2."""
    bench.sandbox = replace(bench.sandbox, program="no-such-program")
    done = await bench.run("true")
    assert (done.status.cause, "No such file" in done.status.message) == ("sandbox_refused", True)
    assert bench.spawned() == []


async def test_a_sandbox_program_that_lies_is_refused(bench: Workbench) -> None:
    """Keeps E2: the confinement is looked at from outside, whatever the program claims."""
    bench.sandbox = replace_bwrap(bench.sandbox, bench.folder / "bin", LIAR)
    done = await bench.run("sh", "-c", "echo ran")
    assert done.status.cause == "sandbox_refused"
    assert "does not hold" in done.status.message
    assert done.records == []


async def test_a_sandbox_that_outlives_its_program_is_ended_and_lets_nothing_run(bench: Workbench) -> None:
    """Keeps E2: before bubblewrap's child is bound to bubblewrap, it would get ready without it, and be bound to no process."""
    script = LIAR.replace("wait\n", "kill -KILL $$\n")
    bench.sandbox = replace_bwrap(bench.sandbox, bench.folder / "bin", script)
    marker = f"3600.{os.getpid()}8"
    done = await bench.run("sh", "-c", f"echo ran; sleep {marker}")
    assert (done.status.cause, done.records, bench.spawned()) == ("set_up_interrupted", [], [])
    await gone(marker)


# Starts the gate without any sandbox, as bubblewrap's first process would be.
LIAR = """#!/bin/bash
while [ "$1" != -- ]; do [ "$1" = --args ] && fd=$2; shift; done; shift
info=$(tr '\\0' '\\n' < /proc/self/fd/$fd | sed -n 2p)
sh -c '"$@"; exit $?' first "$@" &
echo '{"child-pid": '$!'}' >&$info
wait
"""


async def test_a_python_below_a_closed_folder_runs_at_its_own_path(bench: Workbench) -> None:
    python = str(Path(sys.executable).resolve())
    done = await bench.run(python, "-I", "-S", "-c", "import sys; print(sys.executable)")
    assert done.stdout == f"{python}\n"


async def test_the_history_is_read_with_an_inert_git(bench: Workbench) -> None:
    """Keeps E5: the snapshot's git settings and hooks start nothing."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(bench.tree)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first words"]):
        subprocess.run([*git, *command], check=True)
    history = bench.folder / "history.git"
    (bench.tree / ".git").rename(history)
    (history / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = /bin/touch /tmp/pwned\n[alias]\n"
    )
    done = await bench.run(
        "sh", "-c", "git log --format=%s; git status --short; ls /tmp; touch /history.git/x", history=history
    )
    assert done.stdout == "first words\n"
    assert "Read-only file system" in done.stderr
    assert done.status.denials == 1


async def test_a_long_path_to_the_folder_is_no_trouble(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    bench = await Workbench.make(deep)
    assert (await bench.run("cat", "hello.txt")).stdout == "hello\n"
