"""`./dev demo`, as a newcomer meets it: it works at once, and leaves nothing, however it ends. Keeps K5."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.processes import processes_with
from tests.kit.repositories import UserRepository
from tests.kit.waiting import wait_until

CANNOT_FAIL = "def load(text):\n    assert (text, 'nothing to load')\n    return text\n"
SECONDS = 90

pytestmark = [pytest.mark.processes, pytest.mark.timeout(2 * SECONDS)]


@dataclass
class Demo:
    """A demo at work. It keeps what it needs below `place`, whose path stands in the command lines of all that it starts."""

    process: subprocess.Popen[bytes]
    place: Path
    out: Path
    err: Path

    def progress(self) -> str:
        return self.err.read_text(errors="replace")

    def wait_until_agents_speak(self) -> None:
        wait_until(lambda: " │ " in self.progress() or self.process.poll() is not None, SECONDS)
        assert self.process.poll() is None, self.progress()

    def processes(self) -> list[int]:
        """Returns what it started and still runs."""
        return processes_with(str(self.place))


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary directory of the demo's own, with a short path: sockets are made below it."""
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir="/tmp"))
    yield folder
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def repository(tmp_path: Path) -> UserRepository:
    """Makes a repository with something to find, and with a change that is not committed."""
    made = UserRepository.make(tmp_path / "repository", **{"src/load.py": CANNOT_FAIL})
    made.write("src/new.py", "print('not committed')\n")
    # Enough to read for being interrupted in the middle of it.
    for number in range(300):
        made.write(f"src/part_{number}.py", f"def part_{number}():\n    return {number}\n" * 40)
    made.commit("second")
    made.write("src/app.py", "print('changed')\n")
    return made


def started(path: Path, place: Path, folder: Path) -> Demo:
    out, err = folder / "out", folder / "err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "conductor.cli", "demo", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            env={**os.environ, "TMPDIR": str(place)},
            start_new_session=True,
        )
    return Demo(process, place, out, err)


@pytest.mark.long
def test_the_demo_streams_from_two_hosts_and_ends_in_checked_findings(
    repository: UserRepository, place: Path, tmp_path: Path
) -> None:
    before = repository.state()
    demo = started(repository.folder, place, tmp_path)

    assert demo.process.wait(SECONDS) == 0, demo.progress()
    assert "survey on alpha" in demo.progress()
    assert "survey on beta" in demo.progress()
    assert "Delivery │ " in demo.progress()
    assert "src/load.py:2" in demo.out.read_text()
    assert "Quotes checked; conclusions are yours." in demo.out.read_text()
    assert repository.state() == before
    assert demo.processes() == []
    assert list(place.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_demo_stops_what_it_started_and_says_so_by_its_code(
    number: signal.Signals, repository: UserRepository, place: Path, tmp_path: Path
) -> None:
    before = repository.state()
    demo = started(repository.folder, place, tmp_path)
    demo.wait_until_agents_speak()
    demo.process.send_signal(number)

    assert demo.process.wait(SECONDS) == 130
    assert "Traceback" not in demo.progress()
    assert demo.processes() == []
    assert list(place.iterdir()) == []
    assert repository.state() == before


@pytest.mark.long
def test_when_the_demo_is_killed_outright_its_services_end_by_themselves(
    repository: UserRepository, place: Path, tmp_path: Path
) -> None:
    demo = started(repository.folder, place, tmp_path)
    demo.wait_until_agents_speak()
    demo.process.kill()
    demo.process.wait()

    wait_until(lambda: demo.processes() == [], SECONDS)


def test_a_path_that_is_no_directory_is_wrong_usage(place: Path, tmp_path: Path) -> None:
    demo = started(tmp_path / "nowhere", place, tmp_path)

    assert demo.process.wait(SECONDS) == 2
    assert "does not exist" in demo.progress()
    assert list(place.iterdir()) == []
