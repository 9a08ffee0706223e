"""The examples of docs/ci.md are what GitHub and GitLab read, open no door to strangers, and do what they say. Keeps K8."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import page
from tests.kit.repositories import UserRepository

FILES = page("ci").files("ci")
BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def ran(*command: str, **fields: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, **fields)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("name", "schema"), [("github.yml", "vendor.github-workflows"), ("gitlab.yml", "vendor.gitlab-ci")]
)
def test_each_example_is_of_the_form_that_its_service_reads(name: str, schema: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name])
    checked = ran(str(BIN / "check-jsonschema"), "--builtin-schema", schema, str(tmp_path / name))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_workflow_opens_no_door_to_strangers(tmp_path: Path) -> None:
    """Its actions are pinned, no text of a stranger becomes a command, and its rights are the least."""
    file = tmp_path / ".github" / "workflows" / "review.yml"
    file.parent.mkdir(parents=True)
    file.write_text(FILES["github.yml"])
    checked = ran(str(BIN / "zizmor"), "--offline", "--persona=pedantic", "--no-progress", str(file))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert all(re.search(r"@[0-9a-f]{40} # v\d", line) for line in FILES["github.yml"].splitlines() if "uses:" in line)
    assert "pull_request_target" not in FILES["github.yml"]


@pytest.mark.long
def test_the_review_of_the_example_fails_for_what_a_branch_brings(tmp_path: Path) -> None:
    """Runs the step of the example as a fork's pull request would: the survey, over the change alone."""
    workflow = yaml.safe_load(FILES["github.yml"])
    (step,) = (step for step in workflow["jobs"]["review"]["steps"] if step.get("name") == "Review")
    repository = UserRepository.make(tmp_path / "work", **{"old.py": "def load(x):\n    assert (x, 'nothing')\n"})
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repository.write("key.py", f'TOKEN = "{"ghp_"}{"aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"}"\n')
    repository.commit("a change")
    given = {"FLOW": "survey", "BASE": "main", "CONDUCTOR_MODEL": "", "CONDUCTOR_KEY_ENV": "MODEL_KEY"}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    done = ran("bash", "-ec", step["run"], cwd=repository.folder, env={**os.environ, **given, "PATH": path})

    assert done.returncode == 5, done.stderr
    assert "key.py:1" in done.stderr
    assert '"key.py"' in (repository.folder / "review.sarif").read_text()
