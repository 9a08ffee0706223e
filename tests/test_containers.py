"""A host in a container says which setting its sandbox needs, and takes no agent without it. Keeps K14, E2.

No container engine is needed: each rule that an engine has by default is imitated alone.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "seccomp": ("--security-opt seccomp=unconfined", "seccompProfile Unconfined"),
    "apparmor": ("--security-opt apparmor=unconfined", "appArmorProfile Unconfined"),
    "proc": ("--security-opt systempaths=unconfined", "procMount Unmasked"),
}


@pytest.mark.parametrize("rule", SETTINGS)
def test_a_host_in_a_container_names_the_setting_that_it_lacks(rule: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.kit.container_imitation", rule, sys.executable, "-m", "agenthost.cli", "doctor"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (verdict,) = [line for line in done.stdout.splitlines() if line.startswith("✘ sandbox: ")]

    assert "This is a container" in verdict
    for rival, settings in SETTINGS.items():
        for setting in settings:
            assert (setting in verdict) == (rival == rule), verdict
    assert "no agent can run here" in done.stdout
    assert done.returncode == 1
