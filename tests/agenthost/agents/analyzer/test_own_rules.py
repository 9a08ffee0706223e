"""The rules of our own for ast-grep: each finds its examples of the fault, and nothing in those of good code."""

import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

import agenthost

AGENTS = Path(agenthost.__file__).parent / "agents"
SETTINGS = AGENTS / "analyzer/configurations/sgconfig.yml"
TABLE = Path(__file__).parents[4] / "flows/survey/rules.toml"
EXAMPLES = Path(__file__).parent / "own_rules"
PROGRAM = Path(sysconfig.get_path("scripts")) / "ast-grep"


def _documents(folder: Path) -> list[dict[str, object]]:
    return [document for path in sorted(folder.glob("*.yml")) for document in yaml.safe_load_all(path.read_text())]


@pytest.mark.processes
def test_every_rule_finds_faults_and_nothing_in_good_code() -> None:
    command = [str(PROGRAM), "test", "-c", str(SETTINGS), "-t", str(EXAMPLES), "--skip-snapshot-tests"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_examples_and_is_in_the_table() -> None:
    rules = {str(document["id"]) for document in _documents(AGENTS / "ast_grep_rules")}
    examples = _documents(EXAMPLES)

    assert rules == {str(one["id"]) for one in examples}
    assert all(one["valid"] and one["invalid"] for one in examples)
    assert rules == {name.partition("/")[0] for name in tomllib.loads(TABLE.read_text())["ast-grep"]}


@pytest.mark.processes
def test_a_script_whose_name_has_no_extension_is_read(tmp_path: Path) -> None:
    script = tmp_path / "release"
    script.write_text('#!/bin/sh\nif [ -z "$1" ]; then\n  echo "Specify a version."\n  exit\nfi\n')
    command = [str(PROGRAM), "scan", "-c", str(SETTINGS), "--report-style", "short", "--color", "never", str(script)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert "shell-error-ends-well" in done.stdout
