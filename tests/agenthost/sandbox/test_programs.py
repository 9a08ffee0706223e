"""A program that the sandbox will not have is told before anything is started. Keeps D12."""

from pathlib import Path

import pytest

from agenthost.sandbox.programs import absent


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "text").write_text("x")
    (tmp_path / "text").chmod(0o644)
    return {"/opt/agent": tmp_path}


@pytest.mark.parametrize(
    "program", ["/bin/sh", "sh", "/opt/agent/tool", "/workspace/run.sh", "./run.sh", "/home/agent/.tool/run"]
)
def test_what_is_there_or_may_come_with_an_attempt_is_not_absent(program: str, folders: dict[str, Path]) -> None:
    assert absent(program, folders) == ""


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("tool", "the program 'tool' was not found in /usr/local/bin:/usr/bin:/bin"),
        ("/usr/bin/tool-that-is-not", "/usr/bin/tool-that-is-not is no program"),
        ("/opt/agent/other", "other is no program"),
        ("/opt/agent/text", "text is no program"),
        ("/opt/agent", "outside of what an agent sees"),
        ("/root/bin/tool", "outside of what an agent sees"),
        ("/opt/node/bin/node", "outside of what an agent sees"),
    ],
)
def test_what_is_absent_is_told(program: str, told: str, folders: dict[str, Path]) -> None:
    assert told in absent(program, folders)


def test_the_agents_own_path_counts(folders: dict[str, Path]) -> None:
    assert absent("tool", folders, "/opt/agent:/usr/bin") == ""
    assert "was not found in /opt/other" in absent("tool", folders, "/opt/other")
