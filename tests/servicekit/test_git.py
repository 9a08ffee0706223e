"""Git reads no configuration of the user's, its settings win over a repository's, and it is fed without a deadlock."""

from pathlib import Path

import pytest

from servicekit.git import GitRunner
from tests.kit.repositories import git

pytestmark = pytest.mark.processes

LIMITS = {"timeout_seconds": 20.0, "max_output_bytes": 1_000_000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "repository")
    return tmp_path / "repository" / ".git"


async def test_the_users_configuration_is_not_read_and_settings_win_over_the_repositorys(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps E9."""
    trace = tmp_path / "ran"
    (tmp_path / ".gitconfig").write_text(f"[core]\n\thooksPath = {tmp_path}\n[alias]\n\tlook = !touch {trace}\n")
    git(folder.parent, "config", "core.fsmonitor", f"touch {trace}")
    monkeypatch.setenv("HOME", str(tmp_path))
    runner = GitRunner(folder, ("core.fsmonitor=false", "core.bare=true"))

    looked = await runner.run("look", **LIMITS)
    hooks = await runner.run("config", "core.hooksPath", **LIMITS)
    monitor = await runner.run("config", "core.fsmonitor", **LIMITS)

    assert looked.returncode != 0
    assert hooks.stdout == b""
    assert monitor.stdout == b"false\n"
    assert not trace.exists()


async def test_variables_of_the_caller_win(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "objects"
    other.mkdir()
    runner = GitRunner(folder, variables={"GIT_OBJECT_DIRECTORY": str(other)})

    written = await runner.run("hash-object", "-w", "--stdin", stdin=b"hello", **LIMITS)

    assert written.returncode == 0
    assert [found for found in other.rglob("*") if found.is_file()]


async def test_a_command_that_answers_while_it_reads_gets_its_whole_input_at_once(folder: Path) -> None:
    """More than a pipe holds goes in and comes out."""
    runner = GitRunner(folder)
    names = b"".join(b"%040d\n" % number for number in range(20_000))
    answer = bytearray()
    async with runner.start("cat-file", "--batch-check", stdin=names, timeout_seconds=20) as running:
        while piece := await running.read():
            answer += piece
        ended = await running.finish()

    assert ended.returncode == 0
    assert answer.count(b" missing\n") == 20_000
