"""A service logs where its own defects are, but not with which values; and its log never stops it."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from servicekit.logs import LogStream
from tests.kit.waiting import wait_until

PROGRAM = """
import structlog, sys
from servicekit.logs import configure_logs
configure_logs(sys.argv[1], "info")
def fail(prompt):
    raise ValueError("a defect")
try:
    fail("the words of " + "a customer")
except ValueError:
    structlog.get_logger().exception("call_failed")
"""
TALKER = """
import structlog, sys
from servicekit.logs import configure_logs
configure_logs("json", "info")
log = structlog.get_logger()
for number in range(4000):
    log.info("said", number=number, text="x" * 200)
print("wrong usage", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.processes
@pytest.mark.parametrize("style", ["plain", "json"])
def test_a_traceback_names_the_line_and_shows_no_values_of_variables(style: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, style], capture_output=True, text=True, check=True)

    assert "ValueError" in done.stderr
    assert "a defect" in done.stderr
    assert "the words of a customer" not in done.stderr
    assert "╭" not in done.stderr


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_reader_that_stops_reading_costs_lines_and_no_time_and_hears_how_many(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(reading, False)
    log = LogStream(writing, lambda dropped: f"dropped {dropped}\n")
    begun = time.monotonic()
    for number in range(6000):
        log.write(f"{number:0199}\n".encode())
    assert time.monotonic() - begun < 1

    heard = bytearray()
    wait_until(lambda: take(reading, heard) and lines_of(heard) == 6000)
    assert 300 < len(heard) / 200 < 4000  # what waits for a reader is bounded
    log.write(b"after\n")
    log.drain()
    take(reading, heard)
    assert heard.endswith(b"\nafter\n")


def take(reading: int, into: bytearray) -> bool:
    """Reads what there is now."""
    with suppress(BlockingIOError):
        into += os.read(reading, 1_000_000)
    return True


def lines_of(heard: bytearray) -> int:
    """Counts whole lines, each of which must be in its place, and those that are told as dropped."""
    count = 0
    for line in heard[: heard.rfind(b"\n") + 1].decode().splitlines():
        _, is_notice, dropped = line.partition("dropped ")
        assert is_notice or int(line) == count
        count += int(dropped) if is_notice else 1
    return count


def test_a_line_that_is_cut_by_a_full_disk_is_ended_before_the_next(tmp_path: Path) -> None:
    """The limit of a file's size stands for the disk: it cuts a write in the same way."""
    path = tmp_path / "log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("ab", buffering=0) as file:
        log = LogStream(file.fileno(), lambda dropped: f"dropped {dropped}\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            for line in (b"first\n", b"second\n", b"third\n"):
                log.write(line)
            log.drain(10)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        log.write(b"fourth\n")
        log.drain(10)

    assert path.read_text() == "first\nseco\ndropped 2\nfourth\n"


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    log = LogStream(writing, lambda dropped: f"dropped {dropped}\n")
    line = b"x" * 99_999 + b"\n"
    log.write(line)
    log.write(line)
    heard = b""
    while len(heard) < 2 * len(line):
        heard += os.read(reading, 65536)

    assert heard == 2 * line


@pytest.mark.processes
@pytest.mark.parametrize("stderr", ["/dev/full", "closed", "without a reader", "never read"])
def test_a_program_ends_as_it_means_to_whatever_becomes_of_its_log(stderr: str) -> None:
    reading, writing = os.pipe()
    if stderr == "without a reader":
        os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    shell = "exec 2>&-; exec " if stderr == "closed" else "exec "
    program = TALKER.replace(
        "import structlog", "from servicekit.runtime.process import open_what_is_closed as o; o()\nimport structlog"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f'{shell}"$@"', "sh", sys.executable, "-c", program],
        stderr=full if stderr == "/dev/full" else writing,
        timeout=20,
        check=False,
    )
    os.close(writing)
    os.close(full)

    assert done.returncode == 7
    if stderr == "never read":
        assert [json.loads(line)["number"] for line in os.read(reading, 4096).splitlines()[:3]] == [0, 1, 2]
