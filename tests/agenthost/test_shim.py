"""What an attempt's shim keeps, with real sandboxes. Run by root and, through test_ordinary_user, by somebody else."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agenthost.attempt_process import AttemptProcess, Launch, is_alive
from agenthost.cgroups import sweep
from agenthost.core.spool import RecordKind
from agenthost.errors import ExecutionExistsError
from tests.attempts import PATIENCE_SECONDS, Workbench, finish, gone, output, processes_with, records


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    bench = await Workbench.make(tmp_path)
    yield bench
    if bench.sandbox.cgroups:  # shims are killed here, and what they cannot remove, a daemon sweeps
        sweep(bench.sandbox.cgroups, lambda: ())


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
        assert (await finish(attempt)).status.confinement == confinement


async def test_each_release_is_written_down_once(bench: Workbench) -> None:
    """Keeps I2: the spawn oracle."""
    await bench.run("true")
    await bench.run("true")
    assert [json.loads(line)["execution"] for line in bench.spawned()] == ["attempt0", "attempt1"]


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
        str(Path(sys.executable).resolve()), "-c", STUBBORN, marker, grace_seconds=0.3
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


async def test_a_flood_ends_at_its_cap(bench: Workbench) -> None:
    """Keeps D5."""
    done = await bench.run("sh", "-c", "head -c 100000000 /dev/zero; sleep 100", max_output_bytes=1_000_000)
    assert done.status.cause == "output_too_large"
    assert len(done.stdout) == 1_000_000
    assert done.status.spool_length < 1_010_000


async def test_neither_prompt_nor_variables_show_in_the_process_table(bench: Workbench) -> None:
    """Keeps D8."""
    secret = f"secret{os.getpid()}"
    launch = {"prompt": f"{secret} prompt".encode(), "environment": {"PLACEHOLDER": f"{secret}-key"}}
    async with await bench.spawn("sh", "-c", 'read -r line; echo "$line $PLACEHOLDER"; sleep 100', **launch) as attempt:
        await output(attempt, f"{secret} prompt {secret}-key")
        assert processes_with(secret) == []
        await attempt.cancel("seen")
        await finish(attempt)


async def test_the_environment_is_an_allow_list(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps D8."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    done = await bench.run("env", environment={"LENS": "risks"})
    names = {line.split("=")[0] for line in done.stdout.splitlines()}
    assert "OPENAI_API_KEY" not in names
    assert {"PATH", "HOME", "LENS"} <= names
    assert names <= {"PATH", "HOME", "LENS", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TERM", "NO_COLOR", "TZ", "PWD",
                     "PYTHONDONTWRITEBYTECODE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}  # fmt: skip


async def test_an_agent_inherits_three_descriptors(bench: Workbench) -> None:
    script = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1])"
    done = await bench.run(str(Path(sys.executable).resolve()), "-I", "-S", "-c", script, prompt_is_file=True)
    assert done.stdout == "[0, 1, 2]\n"


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


async def test_a_prompt_that_nobody_reads_blocks_nothing(bench: Workbench) -> None:
    """Keeps D8 and the second rule: the shim never waits for an agent."""
    done = await bench.run("sh", "-c", "echo deaf; sleep 0.1; exit 3", prompt=bytes(1024 * 1024))
    assert (done.stdout, done.status.exit_code) == ("deaf\n", 3)


async def test_a_large_prompt_arrives_whole_and_then_stdin_ends(bench: Workbench) -> None:
    """Keeps D8."""
    prompt = os.urandom(1024 * 1024)
    done = await bench.run("sh", "-c", "sha256sum; echo end", prompt=prompt)
    assert done.stdout == f"{hashlib.sha256(prompt).hexdigest()}  -\nend\n"


async def test_a_prompt_may_be_a_file(bench: Workbench) -> None:
    """Keeps D8."""
    done = await bench.run(
        "sh", "-c", "cat /run/prompt; cat; echo x > /run/prompt", prompt=b"as a file", prompt_is_file=True
    )
    assert done.stdout == "as a file"
    assert done.status.exit_code != 0


async def test_inputs_reach_the_agent_once_and_in_order(bench: Workbench) -> None:
    """Keeps I2 for inputs: an input is written down before it is applied."""
    script = 'read -r p; echo "p $p"; while read -r l; do echo "got $l"; done'
    async with await bench.spawn("sh", "-c", script, prompt=b"prompt\n", keeps_stdin=True) as attempt:
        assert await attempt.give_input(1, "one\n")
        assert not await attempt.give_input(3, "gap\n")
        assert await attempt.give_input(1, "one again\n")
        assert await attempt.give_input(2, "two\n")
        await output(attempt, "got two")
        kept = records(attempt)
        await attempt.cancel("done")
        await finish(attempt)
    applied = [data for kind, data in kept if kind == RecordKind.INPUT]
    assert applied == [(1).to_bytes(8, "little") + b"one\n", (2).to_bytes(8, "little") + b"two\n"]
    said = b"".join(data for kind, data in kept if kind == RecordKind.STDOUT)
    assert said == b"p prompt\ngot one\ngot two\n"


async def test_an_agent_that_reads_nothing_takes_no_input_and_hinders_nobody(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "echo up; sleep 100", keeps_stdin=True) as attempt:
        await output(attempt, "up")
        waiting = asyncio.ensure_future(attempt.give_input(1, "x" * 200_000))
        await attempt.cancel("never mind")
        await finish(attempt)
        assert await waiting is False


async def test_a_one_shot_agent_takes_no_input(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "cat; echo up; sleep 100") as attempt:
        await output(attempt, "up")
        assert not await attempt.give_input(1, "too late\n")
        await attempt.cancel("seen")
        await finish(attempt)


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


async def test_nobody_attached_ends_an_attempt(bench: Workbench) -> None:
    """Keeps D6: a connection is not a lease."""
    done = await bench.run("sleep", "100", orphan_timeout_seconds=0.4)
    assert done.status.cause == "orphaned"


async def test_a_renewed_lease_keeps_an_attempt(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "sleep 2; echo over", orphan_timeout_seconds=1) as attempt:
        while not attempt.has_ended:
            await attempt.renew_lease()
            await asyncio.sleep(0.1)
        assert (await finish(attempt)).status.cause == "exited"


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


async def test_a_daemon_that_never_listens_hinders_nobody(bench: Workbench) -> None:
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
from tests.attempts import Workbench, output
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
    _replace_bwrap(bench, "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    done = await bench.run("true")
    assert (done.status.cause, done.status.message) == (
        "sandbox_refused",
        "bwrap: No permissions to create new namespace",
    )
    assert (done.status.exit_code, done.status.signal, done.records) == (None, None, [])
    assert bench.spawned() == []


async def test_a_sandbox_that_is_slow_is_refused_and_ended(bench: Workbench) -> None:
    """Keeps E2: the set-up has a wall limit."""
    marker = f"3600.{os.getpid()}6"
    _replace_bwrap(bench, f"#!/bin/sh\nexec sleep {marker}\n")
    done = await bench.run("true", setup_seconds=0.3)
    assert (done.status.cause, done.status.message) == ("sandbox_refused", "the sandbox was not ready within 0.3 s")
    assert bench.spawned() == []
    await gone(marker)


async def test_a_sandbox_program_that_is_killed_in_mid_set_up_lets_nothing_run(bench: Workbench) -> None:
    """Keeps E2."""
    _replace_bwrap(bench, "#!/bin/sh\nkill -9 $$\n")
    done = await bench.run("sh", "-c", "echo ran")
    assert (done.status.cause, done.records) == ("sandbox_refused", [])
    assert "ended before it was ready" in done.status.message
    assert bench.spawned() == []


async def test_a_sandbox_program_that_is_not_there_refuses(bench: Workbench) -> None:
    """Keeps E2."""
    bench.sandbox = replace(bench.sandbox, program="no-such-program")
    done = await bench.run("true")
    assert (done.status.cause, "No such file" in done.status.message) == ("sandbox_refused", True)
    assert bench.spawned() == []


async def test_a_sandbox_program_that_lies_is_refused(bench: Workbench) -> None:
    """Keeps E2: the confinement is looked at from outside, whatever the program claims."""
    _replace_bwrap(bench, LIAR)
    done = await bench.run("sh", "-c", "echo ran")
    assert done.status.cause == "sandbox_refused"
    assert "does not hold" in done.status.message
    assert done.records == []


def _replace_bwrap(bench: Workbench, script: str) -> None:
    folder = bench.folder / "bin"
    folder.mkdir(mode=0o755)
    (folder / "bwrap").write_text(script)
    (folder / "bwrap").chmod(0o755)
    bench.sandbox = replace(bench.sandbox, folder=folder, program="bwrap")


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
