"""Reads history with git, whatever its size. Keeps B5."""

import resource
import subprocess
from pathlib import Path

import pytest

from agenthost.agents.reader import history
from agenthost.agents.reader.files import ToolError

pytestmark = pytest.mark.processes


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_log_show_and_blame_tell_what_was_done(repository: Path) -> None:
    assert "t: one" in history.log()
    assert "+x = 1" in history.show("HEAD")
    assert history.show("HEAD", "a.py") == "x = 1\n"
    assert "x = 1" in history.blame("a.py")
    assert repository.exists()


@pytest.mark.usefixtures("repository")
def test_what_git_complains_about_is_told() -> None:
    with pytest.raises(ToolError, match="nowhere"):
        history.show("HEAD", "nowhere")


def test_a_commit_of_any_size_is_cut_before_it_is_held(repository: Path) -> None:
    """A commit of 60 MB, in many files, is read up to what a model could read, in little memory."""
    for number in range(60):
        (repository / f"large{number}").write_text(f"{number} a line of some length\n" * 40_000)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "large")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = history.show("HEAD")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert text.endswith("cut; ask for one path or fewer lines")
    assert len(text) < history.MAX_CHARACTERS + 100
    assert after - before < 4 * 1024  # KiB


def test_a_file_of_any_size_is_cut(repository: Path) -> None:
    (repository / "huge").write_text("a line\n" * 3_000_000)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "huge")

    assert history.show("HEAD", "huge").startswith("a line\na line\n")
    assert "Bin" in history.show("HEAD")


@pytest.mark.usefixtures("repository")
def test_git_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:/usr/bin:/bin")
    monkeypatch.setattr(history, "SECONDS", 0.3)

    with pytest.raises(ToolError, match="took longer than"):
        history.log()
