"""A soak that is killed leaves nothing behind: no service, no agent, no cable, no namespace."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.cable import Cable, CableRefusedError
from tests.chaos.rig import SHIM
from tests.kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.long]

BEGUN_SECONDS = 60
GONE_SECONDS = 30


@pytest.mark.timeout(150)
async def test_a_soak_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    try:
        async with Cable(tmp_path / "near", "a seed"):
            pass
    except CableRefusedError as refused:
        pytest.skip(
            f"no network namespaces here, so agents outlive a killed soak for as long as they do any: {refused}"
        )
    soak = [sys.executable, "-m", "tests.chaos", "--short"]
    with subprocess.Popen(soak, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}) as killed:
        await until(lambda: any(SHIM in line for _, line in _processes(tmp_path)), BEGUN_SECONDS)
        below = dict(_processes(tmp_path))
        killed.kill()

    await until(lambda: not dict(_processes(tmp_path)), GONE_SECONDS)
    for kind in ("chaos.conductor", "chaos.agenthost", "cable_process", SHIM):
        assert kind in str(below)


def _processes(folder: Path) -> Iterator[tuple[int, str]]:
    """Every process that has to do with the folder, and its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"{folder}/chaos-" in line:
                    yield int(entry.name), line
