"""Files that set a release without security fixes are told; those that set a supported one, or several, are not."""

import io
from pathlib import Path

import pytest

from agenthost.agents.manifests.ended import find_ended
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

DOCS = 'version: 2\nbuild:\n  os: ubuntu-24.04\n  tools:\n    python: "{}"\n'


def told(root: Path, path: str, text: str) -> list[int]:
    (root / path).write_text(text)
    found = find_ended(Survey(Snapshot(root), Voice(io.StringIO()), seconds=60))
    return [finding.evidence[0].start_line for finding in found]


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        (".python-version", "3.8.10\n", 1),
        ("runtime.txt", "python-3.9.1\n", 1),
        (".nvmrc", "v16\n", 1),
        (".node-version", "18.12.0", 1),
        (".readthedocs.yaml", DOCS.format("3.8"), 5),
    ],
)
def test_a_release_without_fixes_is_told(tmp_path: Path, path: str, text: str, line: int) -> None:
    assert told(tmp_path, path, text) == [line]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".python-version", "3.13\n"),
        (".python-version", "3.13\n3.8\n"),
        ("runtime.txt", "python-3.12.1\n"),
        (".nvmrc", "24\n"),
        (".nvmrc", "lts/*\n"),
        (".readthedocs.yaml", DOCS.format("3.12")),
    ],
)
def test_a_supported_release_and_several_are_not_told(tmp_path: Path, path: str, text: str) -> None:
    assert told(tmp_path, path, text) == []
