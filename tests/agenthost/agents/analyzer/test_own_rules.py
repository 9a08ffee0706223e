"""The rules of our own for ast-grep: each of them can be read, and finds what it is for."""

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest

import agenthost

AGENTS = Path(agenthost.__file__).parent / "agents"
PROGRAM = Path(sysconfig.get_path("scripts")) / "ast-grep"
FAULTS = {
    "a.ts": "f({ host, rejectUnauthorized: false });\n",
    "a.js": "f({ 'rejectUnauthorized': false, rejectUnauthorized: true });\n",
    "a.go": "package a\nvar c = &tls.Config{InsecureSkipVerify: true}\n",
}

pytestmark = pytest.mark.processes


def test_every_rule_can_be_read_and_finds_its_fault(tmp_path: Path) -> None:
    for name, text in FAULTS.items():
        (tmp_path / name).write_text(text)
    settings = AGENTS / "analyzer/configurations/sgconfig.yml"
    command = [PROGRAM, "scan", "-c", settings, "--json=stream", *sorted(tmp_path.iterdir())]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert done.stderr == ""
    found = {Path(one["file"]).name: one["ruleId"] for one in map(json.loads, done.stdout.splitlines())}
    assert found == {
        "a.ts": "node-certificate-unchecked",
        "a.js": "node-certificate-unchecked-js",
        "a.go": "go-certificate-unchecked",
    }
