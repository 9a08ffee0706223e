"""Runs tests once more as a user without any privilege: what holds for root must hold for every user."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agenthost.sandbox.find import python_runtime

pytestmark = [pytest.mark.processes, pytest.mark.long]

USER = 60950
HERE = Path(__file__).parents[1]
ROOT = HERE.parent.parent
# What depends on who one is: the proof, the escapes, the door, mounts, and what bounds memory, processes and files: an ordinary
# user has no control group, and the kernel counts processes otherwise. Clocks, other caps and the gateway's rules do not depend
# on it, and cost minutes; CONDUCTOR_ALL_AS_USER=1 runs them as well.
BOMBS = (
    "test_a_memory_bomb_ends_as_one",
    "test_memory_that_no_process_shows_is_bounded_too",
    "test_a_crowd_of_sessions_leaves_the_host_its_processors",
    "test_a_fork_bomb_is_bounded_and_ends_whole",
    "test_a_tmpfs_that_is_filled_is_full",
)
SUITES: tuple[str, ...] = (
    str(HERE / "proof" / "test_probe.py"),
    str(HERE / "models" / "test_door.py"),
    str(HERE / "sandbox" / "test_mounts.py"),
    str(ROOT / "tests" / "escapes"),
    *(f"{HERE / 'sandbox' / 'test_bombs.py'}::{bomb}" for bomb in BOMBS),
)
if os.environ.get("CONDUCTOR_ALL_AS_USER"):
    SUITES = (
        *SUITES[:4],
        *(
            str(HERE / name)
            for name in ("sandbox/test_bombs.py", "shim", "models/test_gateway.py", "models/test_upstream.py")
        ),
    )

# In a mount namespace of its own, Python's folder is laid open although its parents are closed to others.
LAY_OPEN = """
set -e
if [ -n "$CLOSED" ]; then
  mkdir "$ASIDE" && mount --bind "$PREFIX" "$ASIDE"
  mount -t tmpfs -o mode=755 tmpfs "$CLOSED"
  mkdir -p "$PREFIX" && mount --bind "$ASIDE" "$PREFIX"
fi
exec setpriv --reuid="$NUMBER" --regid="$NUMBER" --clear-groups --inh-caps=-all --bounding-set=-all "$@"
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ordinary-", dir="/tmp"))  # pytest's own folders are root's
    os.chown(folder, USER, USER)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="other users run those tests directly")
@pytest.mark.timeout(300)
def test_confinement_holds_for_an_ordinary_user(home: Path) -> None:
    """Keeps E3 for both kinds of user."""
    prefix = next(iter(python_runtime()), None)
    closed = (
        next((part for part in reversed(prefix.parents) if not part.stat().st_mode & 0o001), None) if prefix else None
    )
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "CLOSED": str(closed or ""),
        "PREFIX": str(prefix or ""),
        "ASIDE": str(home / "aside"),
        "NUMBER": str(USER),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # That the list of escapes finds weakened sandboxes is true of the list for every user.
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={home / 'tmp'}",
        "--timeout=120",
        "-k",
        "not the_list_finds",
    ]
    pytest_ = [sys.executable, "-m", "pytest", *options, *SUITES]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", LAY_OPEN, "sh", *pytest_],
        env=variables, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
