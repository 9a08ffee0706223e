"""The one module that starts programs. Keeps rule 1 of `grpc.md` and "every queue and wait has a limit"."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from conductor.errors import ProgramError
from servicekit import programs

pytestmark = pytest.mark.processes

LIMITS = {"timeout_seconds": 20.0, "max_output_bytes": 1 << 20}


async def test_a_program_answers_with_its_output_its_complaints_and_its_exit_code() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read() * 2); sys.stderr.write('hm'); sys.exit(3)"
    completed = await programs.run(sys.executable, "-c", code, stdin=b"ab", **LIMITS)

    assert (completed.returncode, completed.stdout, completed.complaint) == (3, b"abab", "hm")


async def test_a_program_sees_only_the_environment_that_it_is_given() -> None:
    os.environ["PROCESS_TEST_SECRET"] = "1"
    try:
        completed = await programs.run(sys.executable, "-c", "import os; print(dict(os.environ))", **LIMITS)
    finally:
        del os.environ["PROCESS_TEST_SECRET"]

    assert b"PROCESS_TEST_SECRET" not in completed.stdout
    assert b"C.UTF-8" in completed.stdout


async def test_a_program_that_says_too_much_is_ended() -> None:
    with pytest.raises(ProgramError, match="more than 1000 bytes"):
        await programs.run("yes", timeout_seconds=20, max_output_bytes=1000)


async def test_complaints_are_bounded_in_memory_and_do_not_stop_the_program() -> None:
    code = "import os\nfor _ in range(200):\n try: os.write(2, b'x' * 4096)\n except OSError: pass\nprint('done')"
    completed = await programs.run(sys.executable, "-c", code, **LIMITS)

    assert completed.stdout == b"done\n"
    assert 0 < len(completed.stderr) <= programs.MAX_STDERR_BYTES


async def test_a_program_that_takes_too_long_is_ended_with_its_children() -> None:
    children: list[int] = []

    async def outstay() -> None:
        async with programs.start("sh", "-c", "sleep 1000 & echo $!; wait", timeout_seconds=1) as running:
            children.append(int(await running.read_line()))
            await running.read()

    with pytest.raises(ProgramError, match="did not end"):
        await outstay()

    # A dead child may still wait to be reaped by the process that adopted it; a running one has a command line.
    command = Path(f"/proc/{children[0]}/cmdline")
    assert not (command.exists() and command.read_bytes())


async def test_a_program_is_fed_and_read_piece_by_piece() -> None:
    async with programs.start("cat", timeout_seconds=20) as running:
        for word in (b"one\n", b"two\n"):
            await running.write(word)

            assert await running.read_exactly(len(word)) == word
        completed = await running.finish()

    assert completed.returncode == 0


async def test_a_missing_program_is_a_typed_error() -> None:
    with pytest.raises(ProgramError, match="cannot start"):
        await programs.run("/nonexistent/program", **LIMITS)


async def test_cancelling_the_caller_ends_the_program() -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def call() -> None:
        async with programs.start("sleep", "1000", timeout_seconds=None) as running:
            started.set_result(running.pid)
            await running.read()

    task = asyncio.ensure_future(call())
    pid = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not Path(f"/proc/{pid}").exists()


async def test_a_program_may_clear_up_before_it_is_ended(tmp_path: Path) -> None:
    """A git that was killed outright would leave its lock files, and every later one would stop before them."""
    lock = tmp_path / "lock"
    program = "import pathlib, signal, sys; lock = pathlib.Path(sys.argv[1]); lock.touch()\n"
    program += "signal.signal(signal.SIGTERM, lambda *_: (lock.unlink(), sys.exit(1)))\nprint('locked', flush=True); signal.pause()"

    async with programs.start(sys.executable, "-c", program, str(lock), timeout_seconds=30) as running:
        assert await running.read_line() == b"locked\n"
        assert lock.exists()

    assert not lock.exists()
