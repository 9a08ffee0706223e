"""A service takes the descriptors that it may have. In processes of their own: a limit that was lowered stays low."""

import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from servicekit.runtime.process import user_folder

PROGRAM = """
import pathlib, resource, sys
from servicekit.runtime.process import take_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
print(take_descriptors(pathlib.Path(sys.argv[1])), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.processes
@pytest.mark.parametrize(("nr_open", "taken"), [(1_048_576, 300), (200, 200)])
def test_a_service_takes_all_that_its_hard_limit_and_the_kernel_allow(nr_open: int, taken: int, tmp_path: Path) -> None:
    """The kernel refuses any limit above fs.nr_open, also one that was set while that was higher."""
    (tmp_path / "nr_open").write_text(f"{nr_open}\n")
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "nr_open")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.split() == [str(taken)] * 3


@pytest.mark.parametrize(
    ("named", "home", "folder"),
    [
        ("/x/state", "/home/me", "/x/state"),
        ("state", "/home/me", "/home/me/.local/state"),
        ("./state", "", None),
        ("", "/home/me", "/home/me/.local/state"),
        ("", "home", None),
        ("", "", None),
    ],
)
def test_a_users_folder_is_never_in_the_working_directory(
    named: str, home: str, folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a user that the system does not know
    monkeypatch.setenv("XDG_STATE_HOME", named)
    monkeypatch.setenv("HOME", home)

    assert user_folder("XDG_STATE_HOME", ".local/state") == (Path(folder) if folder else None)
