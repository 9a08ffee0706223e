"""Lines of CODEOWNERS that GitHub skips and patterns of .gitignore that keep nothing are told; those that work are not."""

import io
from pathlib import Path

import pytest

from agenthost.agents.manifests.ignored import find_in_ignored
from agenthost.agents.manifests.owners import find_unknown_owners
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

OWNERS = ".github/CODEOWNERS"


def told(root: Path, path: str, text: str) -> list[int]:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    survey = Survey(Snapshot(root), Voice(io.StringIO()), seconds=60)
    found = [finding for look in (find_unknown_owners, find_in_ignored) for finding in look(survey)]
    return [finding.evidence[0].start_line for finding in found]


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        (OWNERS, "* ada grace\n", [1]),
        (OWNERS, "# all\n* @ada\n/docs/ @ada shop/writers # both\n", [3]),
        (".gitignore", "data\n!data/*/prompt\n", [2]),
        (".gitignore", "/data/\n\n!/data/kept.txt\n", [3]),
        ("shop/.gitignore", "a/b/\n!a/b/c\n", [2]),
        (".gitignore", "data\n!data/*\n", [2]),
        (".gitignore", "data\n!shop/data/kept.txt\n", [2]),
    ],
)
def test_what_git_and_github_pass_over_is_told(tmp_path: Path, path: str, text: str, lines: list[int]) -> None:
    assert told(tmp_path, path, text) == lines


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (OWNERS, "* @ada @shop/writers ada@example.org\n/docs/\n# by ada\n"),
        (OWNERS, "[Docs] ada\ndocs/ ada\n"),
        (OWNERS, "/a\\ b/ @ada\n"),
        (".gitignore", "data/*\n!data/kept.txt\n"),
        (".gitignore", "data\n!data/\n!data/kept.txt\n"),
        (".gitignore", "data\n!data/kept.txt\n!da*\n"),
        (".gitignore", "data\n!*/\n!data/kept.txt\n"),
        (".gitignore", "a/data\n!data/kept.txt\n"),
        (".gitignore", "!data/kept.txt\ndata\n"),
        ("examples/.gitignore", "data\n!data/kept.txt\n"),
    ],
)
def test_what_works_is_not_told(tmp_path: Path, path: str, text: str) -> None:
    assert told(tmp_path, path, text) == []


def test_what_is_tracked_stays_so_below_a_folder_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.gitkeep").write_text("")
    assert told(tmp_path, ".gitignore", "data\n!data/.gitkeep\n!data/later.txt\n") == [3]


def test_what_profilers_and_merges_left_is_told(tmp_path: Path) -> None:
    (tmp_path / "cpu.out").write_bytes(b"\x1f\x8b\x00\x00")
    (tmp_path / "a.c").write_text("int a;\n")
    (tmp_path / "a.c.orig").write_text("int a;\n")
    assert told(tmp_path, ".gitignore", "\n*.log\n") == [1, 2]


def test_data_of_tests_and_lone_copies_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "testdata").mkdir()
    (tmp_path / "testdata/cpu.pprof").write_text("a\n")
    (tmp_path / "sshd.conf.orig").write_text("a\n")
    (tmp_path / "check.out").write_text("a\n")
    assert told(tmp_path, ".gitignore", "*.log\n") == []
