"""Submodules that .gitmodules does not name are told; those that it names are not."""

import io
import subprocess
from pathlib import Path

import pytest

from agenthost.agents.manifests.submodules import find_unnamed_submodules
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

pytestmark = pytest.mark.processes


def git(root: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *settings, *arguments], cwd=root, check=True, capture_output=True)


def link(root: Path, path: str, subject: str) -> None:
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{path}")
    git(root, "commit", "-q", "-m", subject)


def told(root: Path) -> list[str]:
    found = find_unnamed_submodules(Survey(Snapshot(root), Voice(io.StringIO()), seconds=60))
    return [finding.title.split()[0] for finding in found]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "README.md").write_text("# Shop\n")
    git(tmp_path, "add", "README.md")
    git(tmp_path, "commit", "-q", "-m", "Open the shop")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    return tmp_path


def test_a_link_without_gitmodules_is_told(shop: Path) -> None:
    link(shop, "libs/till", "Add the till")
    assert told(shop) == ["libs/till"]


def test_a_link_that_gitmodules_does_not_name_is_told(shop: Path) -> None:
    (shop / ".gitmodules").write_text('[submodule "till"]\n\tpath = libs/till\n\turl = ../till\n')
    link(shop, "libs/till", "Add the till")
    link(shop, "libs/scale", "Add the scale")
    assert told(shop) == ["libs/scale"]


def test_a_repository_without_links_is_not_told(shop: Path) -> None:
    assert told(shop) == []


def test_a_repository_that_lies_in_a_working_tree_is_not_told(shop: Path) -> None:
    link(shop, "libs/till", "Snapshot of a working tree")
    assert told(shop) == []


def test_without_a_history_nothing_is_told(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link(shop, "libs/till", "Add the till")
    monkeypatch.delenv("GIT_DIR")
    assert told(shop) == []
