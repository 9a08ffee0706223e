"""Set-ups that are killed or held up at each of their stages: they prove nothing of the machine, and are told apart from refusals.

Run by root and, through test_ordinary_user, by others.
"""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from agenthost.attempt import shim_start
from agenthost.core.sandbox.policy import Resources
from tests.kit.attempts import PATIENCE_SECONDS, Done, Workbench, finish, gone, records
from tests.kit.processes import processes_with

pytestmark = pytest.mark.processes

RAN = ("sh", "-c", "echo ran")
# When the child that becomes bubblewrap may still signal its parent: root's drops what it may just after that.
MIGHTY = "/tree" if os.getuid() == 0 else "os.exec"


@pytest.fixture
def disturb(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> "Disturb":
    return Disturb(bench, monkeypatch)


class Disturb:
    """Has the shims of a workbench disturbed."""

    def __init__(self, bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
        self._plan = bench.folder / "disturbance.json"
        self._shim = str(shim_start.SHIM)
        monkeypatch.setattr(shim_start, "SHIM", Path(__file__).parent / "disturbed.py")

    def at(self, event: str, victim: str, number: str) -> None:
        self._write({"event": event, "victim": victim, "signal": number})

    def by_gate(self, *script: str) -> None:
        """Has a shell do this in the finished sandbox, in the gate's place."""
        self._write({"command": ["/bin/sh", "-c", *script]})

    def _write(self, plan: dict[str, object]) -> None:
        self._plan.write_text(json.dumps({"event": "", "victim": "", "command": [], "shim": self._shim} | plan))


def assert_nothing_ran(bench: Workbench, done: Done) -> None:
    assert (done.records, done.status.exit_code, done.status.signal) == ([], None, None)
    assert bench.spawned() == []


@pytest.mark.parametrize(
    ("event", "victim", "number"),
    [
        ("resource.setrlimit", "itself", "SIGKILL"),
        ("os.exec", "itself", "SIGKILL"),
        ("os.exec", "itself", "SIGTERM"),
        ("os.exec", "itself", "SIGHUP"),
        ("os.exec", "group", "SIGKILL"),
        ("os.exec", "group", "SIGTERM"),
        ("/status", "gate", "SIGKILL"),
        ("/status", "first", "SIGKILL"),
        ("/status", "bwrap", "SIGKILL"),
        ("/status", "bwrap", "SIGTERM"),
        ("/mountinfo", "gate", "SIGKILL"),
        ("/limits", "first", "SIGKILL"),
    ],
)
async def test_a_sandbox_that_another_process_kills_before_it_is_ready_was_interrupted(
    bench: Workbench, disturb: Disturb, event: str, victim: str, number: str
) -> None:
    """Keeps I1: that a process was killed says nothing of the machine's confinement, so no person is asked to mend that."""
    disturb.at(event, victim, number)
    done = await bench.run(*RAN)
    assert done.status.cause == "set_up_interrupted", done.status
    assert f"(signal {signal.Signals[number].value})" in done.status.message
    assert_nothing_ran(bench, done)
    await gone(str(bench.folder))


@pytest.mark.parametrize("victim", ["gate", "first", "bwrap"])
async def test_a_sandbox_that_is_killed_as_its_agent_is_let_go_was_interrupted(
    bench: Workbench, disturb: Disturb, victim: str
) -> None:
    """Keeps I1: a release that was written down but not heard released nothing."""
    disturb.at("spawns.jsonl", victim, "SIGKILL")
    done = await bench.run(*RAN)
    assert (done.status.cause, done.records) == ("set_up_interrupted", [])


@pytest.mark.parametrize("number", ["SIGSYS", "SIGSEGV", "SIGABRT", "SIGBUS"])
async def test_a_sandbox_program_that_goes_wrong_refuses(bench: Workbench, disturb: Disturb, number: str) -> None:
    """Keeps E2: these signals are the kernel's answer to what a program does, a forbidden system call among them."""
    disturb.at("os.exec", "itself", number)
    done = await bench.run(*RAN)
    assert done.status.cause == "sandbox_refused"
    assert f"(signal {signal.Signals[number].value})" in done.status.message
    assert_nothing_ran(bench, done)


@pytest.mark.parametrize(
    ("script", "cause", "end"),
    [
        ("kill -KILL $$", "set_up_interrupted", "without a message (signal 9)"),
        ("kill -TERM $$", "set_up_interrupted", "without a message (signal 15)"),
        ("echo READY >&8; kill -KILL $$", "set_up_interrupted", "(signal 9)"),
        ("kill -SYS $$", "sandbox_refused", "without a message (signal 31)"),
        ("echo READY >&8; kill -SYS $$", "sandbox_refused", "(signal 31)"),
        ("exit 3", "sandbox_refused", "without a message (exit code 3)"),
        ("exit 0", "sandbox_refused", "without a message (exit code 0)"),
        ("echo ready >&8; sleep 100", "sandbox_refused", "the gate said b'ready"),
        ("echo 'I cannot' >&2; kill -KILL $$", "sandbox_refused", "I cannot"),
    ],
)
async def test_what_ends_inside_is_judged_by_how_it_ended_and_what_it_said(
    bench: Workbench, disturb: Disturb, script: str, cause: str, end: str
) -> None:
    """Keeps E2 and I1: a word of complaint weighs more than a signal."""
    disturb.by_gate(script)
    done = await bench.run(*RAN)
    for _ in range(3):
        if not (script.startswith("echo READY") and done.status.cause == "exited"):
            break
        done = await bench.run(*RAN)  # a gate may still be opened between its READY and its death
    assert (done.status.cause, end in done.status.message) == (cause, True), done.status
    assert_nothing_ran(bench, done)


async def test_a_guard_that_is_killed_alone_costs_nothing(bench: Workbench, disturb: Disturb) -> None:
    """Keeps I1: it is there for the shim's death, and that did not come."""
    disturb.at(MIGHTY, "guard", "SIGKILL")
    done = await bench.run(*RAN)
    assert (done.status.cause, done.status.exit_code, done.stdout) == ("exited", 0, "ran\n")


@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
async def test_a_shim_that_is_ended_in_mid_set_up_is_lost(bench: Workbench, disturb: Disturb, number: str) -> None:
    """Keeps E2: it has nothing to end politely yet."""
    disturb.at(MIGHTY, "shim", number)
    async with await bench.spawn(*RAN) as attempt:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await attempt.ended()
        assert (attempt.is_lost, records(attempt), bench.spawned()) == (True, [], [])
    await gone(str(bench.folder))


@pytest.mark.parametrize("victim", ["bwrap", "first", "gate"])
async def test_a_sandbox_that_is_killed_while_its_gate_is_awaited_was_interrupted_and_is_not_waited_for(
    bench: Workbench, disturb: Disturb, victim: str
) -> None:
    """Keeps I1: a dead sandbox is not waited for until the time for a set-up is over."""
    marker = f"3600.{os.getpid()}7"
    disturb.by_gate(f"exec sleep {marker}")
    async with await bench.spawn(*RAN, setup_seconds=3600.0) as attempt:
        tree = await _tree(marker)
        os.kill(tree[victim], signal.SIGKILL)
        done = await finish(attempt)
    assert (done.status.cause, "(signal 9)" in done.status.message) == ("set_up_interrupted", True), done.status
    assert_nothing_ran(bench, done)
    await gone(marker)


async def test_a_set_up_that_was_stopped_was_interrupted(bench: Workbench, disturb: Disturb) -> None:
    """Keeps I1: a time limit tells of time; the machine may be slow, or asleep."""
    disturb.at("os.exec", "itself", "SIGSTOP")
    done = await bench.run(*RAN, setup_seconds=0.3)
    assert (done.status.cause, done.status.message) == (
        "set_up_interrupted",
        "the sandbox was not ready within 0.3 s",
    )
    assert_nothing_ran(bench, done)
    await gone(str(bench.folder))


async def test_a_set_up_that_complained_and_hangs_refuses(bench: Workbench, disturb: Disturb) -> None:
    """Keeps E2."""
    disturb.by_gate("echo 'I cannot' >&2; exec sleep 100")
    done = await bench.run(*RAN, setup_seconds=1.0)
    assert done.status.cause == "sandbox_refused"
    assert_nothing_ran(bench, done)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("SIGKILL", "signal 9 killed the process that opens the socket of the agent's model"),
        ("SIGTERM", "signal 15 killed the process that opens the socket of the agent's model"),
        ("SIGSTOP", "the socket of the agent's model was not opened in time"),
    ],
)
async def test_a_door_whose_maker_is_killed_or_stopped_was_interrupted(
    bench: Workbench, disturb: Disturb, number: str, message: str
) -> None:
    """Keeps I1."""
    disturb.at("fcntl.ioctl", "itself", number)
    done = await bench.run(*RAN, model="fake", setup_seconds=2.0)
    assert (done.status.cause, done.status.message) == ("set_up_interrupted", message)
    assert_nothing_ran(bench, done)
    await gone(str(bench.folder))


async def test_a_door_whose_maker_goes_wrong_refuses(bench: Workbench, disturb: Disturb) -> None:
    """Keeps E2."""
    disturb.at("fcntl.ioctl", "itself", "SIGSYS")
    done = await bench.run(*RAN, model="fake")
    assert done.status.cause == "sandbox_refused"
    assert "cannot open the socket of the agent's model" in done.status.message
    assert_nothing_ran(bench, done)


async def test_a_sandbox_that_the_kernel_kills_for_want_of_its_own_memory_refuses(bench: Workbench) -> None:
    """Keeps E2: the next one would be killed as well."""
    if not bench.sandbox.cgroups:
        pytest.skip("without a control group nothing bounds the memory of a set-up")
    done = await bench.run(*RAN, resources=Resources(memory_bytes=64 * 1024))
    assert (done.status.cause, "out of memory" in done.status.message) == ("sandbox_refused", True), done.status
    assert_nothing_ran(bench, done)


async def _tree(marker: str) -> dict[str, int]:
    """bubblewrap, the first process inside, and the gate, as soon as the gate is what it is replaced by."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for pid in processes_with(marker):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0"):
                    first = _parent_of(pid)
                    return {"gate": pid, "first": first, "bwrap": _parent_of(first)}
            await asyncio.sleep(0.01)


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
