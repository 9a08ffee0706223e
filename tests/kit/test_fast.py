"""`./dev test --fast` leaves out what starts a process, and no test can start one without saying so."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
MODULE = """
import subprocess
import pytest

@pytest.fixture(scope="module")
def started():
    subprocess.run(["true"])

def test_in_a_fixture(started): pass

def test_by_itself(): subprocess.run(["true"])

@pytest.mark.processes
def test_that_says_so(): subprocess.run(["true"])

def test_that_starts_nothing(): pass
"""


def test_a_test_that_starts_a_process_and_does_not_say_so_fails_with_what_to_write(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(MODULE)
    pytest_alone = [sys.executable, "-m", "pytest", "-q", "-rfp", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path]
    done = subprocess.run([*pytest_alone, tmp_path], capture_output=True, text=True, check=False)
    ended = {line.rpartition("::")[2].split(" ")[0]: line.split(" ")[0] for line in done.stdout.splitlines()}

    assert ended["test_in_a_fixture"] == ended["test_by_itself"] == "FAILED", done.stdout
    assert ended["test_that_says_so"] == ended["test_that_starts_nothing"] == "PASSED", done.stdout
    assert "Write `pytestmark = pytest.mark.processes` into its module." in done.stdout
