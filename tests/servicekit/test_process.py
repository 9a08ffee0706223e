"""A service takes the descriptors that it may have. In processes of their own: a limit that was lowered stays low."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

PROGRAM = """
import pathlib, resource, sys
from servicekit.process import take_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
print(take_descriptors(pathlib.Path(sys.argv[1])), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("nr_open", "taken"), [(1_048_576, 300), (200, 200)])
def test_a_service_takes_all_that_its_hard_limit_and_the_kernel_allow(nr_open: int, taken: int, tmp_path: Path) -> None:
    """The kernel refuses any limit above fs.nr_open, also one that was set while that was higher."""
    (tmp_path / "nr_open").write_text(f"{nr_open}\n")
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "nr_open")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.split() == [str(taken)] * 3
