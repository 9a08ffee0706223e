import os
from pathlib import Path

import pytest

from agenthost.agents.reading.python_source import parse
from agenthost.agents.reading.snapshot import (
    MAX_DEPTH,
    MAX_FILE_BYTES,
    NOT_TEXT,
    NOT_UTF8,
    TOO_DEEP,
    TOO_LARGE,
    Snapshot,
    SourceText,
)
from agenthost.agents.survey.finding import MAX_QUOTE_CHARACTERS, cite


def test_symlinks_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("x = 1\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "real.py").write_text("x = 1\n")
    (root / "out").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "file.py").symlink_to(outside / "secret.py")
    snapshot = Snapshot(root)
    assert snapshot.paths == ("real.py",)
    assert snapshot.read("file.py") is None
    assert snapshot.read("out/secret.py") is None
    assert snapshot.has("file.py")
    assert set(snapshot.left_out) == {"out", "loop", "file.py"}


def test_what_is_no_text_is_passed_over_and_told(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_bytes(b"a\0b")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    (tmp_path / "large.py").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    os.mkfifo(tmp_path / "pipe.py")
    snapshot = Snapshot(tmp_path)
    assert [snapshot.read(path) for path in ("binary.py", "latin.py", "large.py", "pipe.py")] == [None] * 4
    assert snapshot.left_out == {"binary.py": NOT_TEXT, "latin.py": NOT_UTF8, "large.py": TOO_LARGE}


def test_deep_nesting_and_strange_names_do_no_harm(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 5))
    deep.mkdir(parents=True)
    (deep / "lost.py").write_text("x = 1\n")
    strange = tmp_path / os.fsdecode(b"\xff\xfe")
    strange.mkdir()
    (strange / "a\nb.py").write_text("x = 1\n")
    snapshot = Snapshot(tmp_path)
    assert len(snapshot.paths) == 1
    assert snapshot.read(snapshot.paths[0]) is not None
    assert TOO_DEEP in snapshot.left_out.values()


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n",
        "(" * 50_000,
        "x = " + "-" * 100_000 + "1\n",
        "\0",
        "x = 1\r",
        "# coding: nonsense\nx = '\ud800'\n",
        "0_\n",
    ],
    ids=["syntax", "brackets", "signs", "null", "lone return", "surrogate", "number"],
)
def test_no_text_can_hurt_the_parser(text: str) -> None:
    assert parse(SourceText("a.py", text, tuple(text.split("\n")))) is None


def test_quotes_are_cut_from_the_lines_and_bounded() -> None:
    lines = ("first", "  second  ", "", "x" * (MAX_QUOTE_CHARACTERS + 1))
    source = SourceText("a", "\n".join(lines), lines)
    evidence = cite(source, 1, 3)
    assert evidence is not None
    assert (evidence.start_line, evidence.end_line, evidence.quote) == (1, 2, "first\n  second  ")
    assert cite(source, 3) is None
    assert cite(source, 4) is None
    assert cite(source, 9) is None
