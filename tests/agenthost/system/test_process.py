import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from agenthost.errors import ProgramError, ProgramUnavailableError
from servicekit import programs
from tests.kit.processes import without_descriptors

pytestmark = pytest.mark.processes


async def test_a_program_gets_its_input_and_gives_its_output_and_complaint() -> None:
    big = os.urandom(3_000_000)
    done = await programs.run(
        "sh", "-c", "cat; echo oh >&2; exit 3", stdin=big, timeout_seconds=20, max_output_bytes=4_000_000
    )
    assert (done.returncode, done.stdout, done.complaint) == (3, big, "oh")


async def test_a_program_sees_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps D8 for trusted programs: keys of the daemon stay its own."""
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    done = await programs.run("env", timeout_seconds=10, max_output_bytes=10_000)
    assert b"PATH=" in done.stdout
    assert b"SECRET_KEY" not in done.stdout


async def test_a_program_that_says_too_much_is_ended() -> None:
    with pytest.raises(ProgramError, match="more than 100000 bytes"):
        await programs.run("yes", timeout_seconds=20, max_output_bytes=100_000)


async def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 987 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(ProgramError, match=r"did not end within 0\.5 s"):
        await programs.run("sh", "-c", script, timeout_seconds=0.5, max_output_bytes=100)
    child = int((tmp_path / "child").read_text())
    await _gone(child)


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramError, match="no-such-program"):
        await programs.run("no-such-program", timeout_seconds=1, max_output_bytes=1)


async def test_a_program_is_fed_and_read_by_pieces() -> None:
    async with programs.start("cat", timeout_seconds=20) as cat:
        await cat.write(b"one\ntwo")
        assert await cat.read_line() == b"one\n"
        assert await cat.read_exactly(3) == b"two"
        done = await cat.finish()
    assert done.returncode == 0


async def test_feeding_a_program_that_reads_no_more_tells_by_its_exit_code() -> None:
    async with programs.start("sh", "-c", "exec 0<&-; exit 9", timeout_seconds=20) as deaf:
        for _ in range(20):
            await deaf.write(bytes(100_000))
        done = await deaf.finish()
    assert done.returncode == 9


async def test_an_answer_cut_short_is_an_error() -> None:
    with pytest.raises(ProgramError, match="middle of its answer"):
        async with programs.start("echo", "abc", timeout_seconds=20) as echo:
            await echo.read_exactly(10)


async def test_an_answer_cut_short_by_a_kill_is_told_apart() -> None:
    with pytest.raises(ProgramUnavailableError, match="signal 9"):
        async with programs.start("sh", "-c", "echo abc; kill -9 $$", timeout_seconds=20) as killed:
            await killed.read_exactly(10)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_program_that_goes_wrong_by_itself_was_not_killed(number: signal.Signals) -> None:
    programs.Completed(-number, b"", b"").refuse_killed("a program")


async def test_a_program_that_cannot_start_for_want_of_descriptors_may_be_tried_again() -> None:
    """Also where not even its input finds one."""
    outcomes = []
    for spare in range(12):
        with without_descriptors(spare):
            try:
                await programs.run("true", timeout_seconds=20, max_output_bytes=1)
            except ProgramUnavailableError:
                outcomes.append("short")
            else:
                outcomes.append("ran")

    assert outcomes == sorted(outcomes, reverse=True)
    assert {"short", "ran"} == set(outcomes)


async def test_leaving_early_ends_the_program() -> None:
    async with programs.start("sleep", "986", timeout_seconds=20) as sleeper:
        pid = sleeper.pid
    await _gone(pid)


async def test_cancelling_the_caller_ends_the_program() -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def wait_for_ever() -> None:
        async with programs.start("sleep", "985", timeout_seconds=600) as sleeper:
            pids.put_nowait(sleeper.pid)
            await sleeper.read()

    task = asyncio.create_task(wait_for_ever())
    pid = await pids.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone(pid)


async def _gone(pid: int) -> None:
    """Waits until a process is no more; a zombie counts as gone."""
    deadline = time.monotonic() + 10
    while _state(pid) not in ("", "Z"):
        assert time.monotonic() < deadline, f"{pid} lives on"
        await asyncio.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
