"""Commands that take a flow file and need no service. Keeps K2, A4."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Calls the command line in a folder."""
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_validate_does_not_depend_on_the_folder_where_it_is_called(tmp_path: Path) -> None:
    project, flow = tmp_path / "here", tmp_path / "elsewhere.yaml"
    (project / ".conductor" / "personas").mkdir(parents=True)
    (project / ".conductor" / "personas" / "doubter.md").write_text("Doubt it.")
    flow.write_text("steps: [{id: a, agent: {agents: [scripted], prompt: x, persona: doubter}}]\n")
    alone, with_project = (
        called(project, "validate", str(flow)),
        called(project, "validate", str(flow), "--project", "."),
    )

    assert (alone.returncode, with_project.returncode) == (1, 0)
    assert "there is no persona 'doubter'" in alone.stdout
    assert "conductor validate --project DIR FILE" in alone.stderr
    assert f"looked up in {project}" in with_project.stderr


def test_the_demo_takes_a_file_and_refuses_one_that_is_no_flow_before_it_starts_anything(tmp_path: Path) -> None:
    flow = tmp_path / "bad.yaml"
    flow.write_text("steps: []\n")
    done = called(tmp_path, "demo", str(tmp_path), "--flow", str(flow))

    assert done.returncode == 2
    assert f"{flow}:1: steps" in done.stderr
    assert "starting a conductor" not in done.stderr
