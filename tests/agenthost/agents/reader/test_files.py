"""The tools read what is there, within bounds, and tell a model plainly what is not. Keeps B5."""

import time
from pathlib import Path

import pytest

from agenthost.agents.reader import tools
from agenthost.agents.reader.files import MAX_LINES, MAX_MATCHES, Files, ToolError
from agenthost.agents.reader.tools import tools_over


@pytest.fixture
def files(tmp_path: Path) -> Files:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src" / "app.py").write_text("import os\n\ndef main():\n    return os.name\n")
    (root / "README.md").write_text("# Hello\n")
    (root / "picture.png").write_bytes(b"\x89PNG\0\0")
    (root / "long.txt").write_text("needle\n" * 1000)
    (tmp_path / "secret").write_text("outside")
    (root / "link").symlink_to(tmp_path / "secret")
    return Files(root)


def test_lines_come_with_their_numbers_and_the_number_of_all(files: Files) -> None:
    assert files.lines("src/app.py", 3, 4) == "src/app.py, lines 3 to 4 of 4\n3| def main():\n4|     return os.name"


def test_a_long_file_is_read_in_pieces(files: Files) -> None:
    assert files.lines("long.txt").splitlines()[0] == f"long.txt, lines 1 to {MAX_LINES} of 1000"


@pytest.mark.parametrize("path", ["../secret", "link", "/etc/../../secret", "src/../../secret"])
def test_no_path_leads_out(files: Files, path: str) -> None:
    with pytest.raises(ToolError, match=r"leads out|there is no"):
        files.lines(path)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("app.py", "is it src/app.py"),
        ("src", "is a folder"),
        ("picture.png", "not a text file"),
        ("none", "list_files"),
    ],
)
def test_a_path_that_cannot_be_read_says_what_would_do(files: Files, path: str, complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        files.lines(path)


def test_search_takes_texts_that_are_no_patterns_and_is_bounded(files: Files) -> None:
    assert files.search("main(") == "src/app.py:3: def main():"
    assert files.search("needle", "long.txt").count("needle") == MAX_MATCHES
    assert files.search("nowhere") == "no line matches nowhere"


def test_files_are_found_by_globs(files: Files) -> None:
    assert files.named("**/*.py") == "src/app.py"
    assert files.named("*.md") == "README.md"
    assert files.entries("src") == "app.py"


def test_a_pattern_that_takes_for_ever_is_ended(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "bad.txt").write_text("a" * 40 + "!\n")
    monkeypatch.setattr(tools, "MAX_SECONDS", 0.3)

    with pytest.raises(ToolError, match="took longer"):
        tools_over(files)["search"].call({"pattern": "(a+)+$"})


def test_arguments_are_fitted_or_refused_by_name(files: Files) -> None:
    read = tools_over(files)["read_file"]

    assert read.call({"path": "README.md", "start_line": "1", "unknown": 3}).endswith("1| # Hello")
    with pytest.raises(ToolError, match="needs path"):
        read.call({})
    with pytest.raises(ToolError, match="start_line must be a number"):
        read.call({"path": "README.md", "start_line": "one"})


@pytest.mark.parametrize("tool", ["list_files", "search", "read_file", "git_log", "git_show", "git_blame"])
@pytest.mark.parametrize("odd", ["a\0b", "\ud800"])
def test_what_no_path_can_hold_is_refused(files: Files, tool: str, odd: str) -> None:
    with pytest.raises(ToolError, match="path holds a NUL or half a character"):
        tools_over(files)[tool].call({"path": odd, "pattern": "x", "commit": "HEAD"})


@pytest.mark.parametrize("path", ["loop", "loop/x"])
def test_a_link_to_itself_is_refused(files: Files, tmp_path: Path, path: str) -> None:
    (tmp_path / "root" / "loop").symlink_to("loop")

    with pytest.raises(ToolError, match=r"leads to itself|there is no"):
        files.lines(path)


def test_a_link_to_itself_does_not_end_a_search(files: Files, tmp_path: Path) -> None:
    (tmp_path / "root" / "loop").symlink_to("loop")

    assert files.search("main").startswith("src/app.py:3")


@pytest.mark.parametrize("pattern", ["a{99999999999999999999}", "(" * 150, "a\\"])
def test_a_pattern_beyond_what_patterns_can_be_is_a_text(files: Files, pattern: str) -> None:
    assert files.search(pattern).startswith("no line matches")


def test_an_endless_number_is_refused(files: Files) -> None:
    with pytest.raises(ToolError, match="must be a number"):
        tools_over(files)["read_file"].call({"path": "README.md", "start_line": float("inf")})


def test_the_end_of_a_call_is_not_lost_while_a_file_is_read(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """`search` passes over files that it cannot read; it must not pass over the clock."""
    monkeypatch.setattr(tools, "MAX_SECONDS", 0.2)
    monkeypatch.setattr(Files, "_text", lambda *_: time.sleep(0.5) or "")

    with pytest.raises(ToolError, match="took longer"):
        tools_over(files)["search"].call({"pattern": "x"})
