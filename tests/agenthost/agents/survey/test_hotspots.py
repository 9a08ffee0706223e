import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agenthost.agents.reading.functions import find_functions
from agenthost.agents.reading.history import Change, Commit, History, blame, deletions, describe_history, read_history
from agenthost.agents.reading.snapshot import SourceText
from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.hotspots import lens

pytestmark = pytest.mark.processes

Looker = Callable[..., list[Finding]]
TANGLE = "def tangle(a):\n" + "".join(f"    if a == {n}:\n        a += 1\n" for n in range(300)) + "    return a\n"
LARGE = TANGLE + "".join(f"value_{n} = {n}\n" for n in range(1000))
NOW = int(time.time())
OTHERS = [f"m{n}.py" for n in range(20)]


def commits(*paths: str, count: int, start: int = 0) -> list[Commit]:
    return [
        Commit(NOW - n, f"{start + n:040}", f"Fix {n}", tuple(Change(path, 3, 1) for path in paths))
        for n in range(count)
    ]


def shop(large: int, small: int) -> History:
    others = [
        commit for number, path in enumerate(OTHERS) for commit in commits(path, count=small, start=100 * number + 1000)
    ]
    return History((*commits("core.py", count=large), *others))


@pytest.fixture(autouse=True)
def blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lens, "blame", lambda _: {number: f"{number % 30:040}" for number in range(1, 300)})


@pytest.fixture
def hotspots(look: Looker, monkeypatch: pytest.MonkeyPatch) -> Looker:
    """Looks for hotspots in files with a history."""

    def run(files: dict[str, str], *, history: History) -> list[Finding]:
        monkeypatch.setattr(lens, "read_history", lambda: history)
        return look(lens.find_hotspots, files)

    return run


def test_a_large_file_that_changes_all_the_time_is_a_hotspot(hotspots: Looker) -> None:
    files = {"core.py": LARGE, **dict.fromkeys(OTHERS, "x = 1\n")}
    (found,) = hotspots(files, history=shop(60, 3))
    assert found.title == "50 % of the commits to product code change one file of 1,602 lines of code: core.py"
    assert "60 of the 120 such commits touch it" in found.claim
    assert (
        "the latest “Fix 0”; “Fix 1”; “Fix 2”. The functions with lines of most of them are `tangle` (30 commits)."
        in found.claim
    )
    assert found.remedy == "Split `tangle` first: it has 602 lines."
    assert found.evidence[0].quote == "def tangle(a):"


@pytest.mark.parametrize(
    ("large", "count"), [("x = 1\n", 60), (LARGE, 10)], ids=["often changed but small", "large but rarely changed"]
)
def test_one_of_both_is_no_hotspot(hotspots: Looker, large: str, count: int) -> None:
    files = {"core.py": large, **dict.fromkeys(OTHERS, "x = 1\n")}
    assert hotspots(files, history=shop(count, 6)) == []


def test_changes_all_over_a_file_are_about_no_part_of_it(hotspots: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lens, "blame", lambda _: {number: f"{number % 7:040}" for number in range(1, 300)})
    files = {"core.py": LARGE, **dict.fromkeys(OTHERS, "x = 1\n")}

    assert hotspots(files, history=shop(60, 3)) == []


def test_mass_changes_and_tests_do_not_count(hotspots: Looker) -> None:
    paths = [f"m{n}.py" for n in range(50)]
    files = {"core.py": LARGE, "tests/test_core.py": LARGE, **dict.fromkeys(paths, "x = 1\n")}
    history = commits("core.py", *paths, count=100) + commits("tests/test_core.py", "m1.py", count=100, start=500)
    assert hotspots(files, history=History(tuple(history))) == []


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (History(absence="It is left out"), "It is left out: no hotspots can be told."),
        (History(tuple(commits("core.py", count=60))), "The history has 60 commits: too few"),
        (History((Commit(1_500_000_000, "a", "Begin", ()),)), "The last commit is of 2017-07-14"),
        (History(tuple(commits("core.py", count=1))), "Without a history no hotspots can be told."),
    ],
    ids=["left out", "short", "dormant", "alone"],
)
def test_a_history_that_tells_nothing_is_said_to(
    make_survey: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, history: History, said: str
) -> None:
    monkeypatch.setattr(lens, "read_history", lambda: history)
    survey = make_survey({"core.py": LARGE})
    assert list(lens.find_hotspots(survey)) == []
    assert said in survey.gaps[0]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_history_is_read_without_merges_and_without_running_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for number in range(3):
        (tmp_path / "weird\tname é.py").write_text("x = 1\n" * (number + 1))
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", f"Change {number}\x01 of it")
    (tmp_path / "ran").mkdir()
    git(tmp_path, "config", "core.pager", f"touch {tmp_path}/ran/pager")
    git(tmp_path, "config", "diff.external", f"touch {tmp_path}/ran/diff")
    git(tmp_path, "config", "core.fsmonitor", f"touch {tmp_path}/ran/fsmonitor")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    history = read_history()
    assert not history.absence
    assert [commit.changes for commit in history.commits] == [(Change("weird\tname é.py", 1, 0),)] * 3
    assert list((tmp_path / "ran").iterdir()) == []


@pytest.mark.parametrize("value", ["", "/nonexistent/git"])
def test_a_missing_history_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", value)
    assert read_history().absence


def test_a_broken_history_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert read_history() == History((), "git could not read the history")


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.py", "class A:\n    def f(self):\n        return 1\n\ndef g(): ...\n", [("f", 2, 3), ("g", 5, 5)]),
        ("a.c", "int x(int);\nstatic int f(int a)\n{\n  if (a) {\n  }\n}\n", [("f", 2, 6)]),
        ("a.go", "func (s *T) Go(a int) error {\n\treturn nil\n}\n", [("Go", 1, 3)]),
        ("a.js", "async function f(a) {\n  if (a) {\n  }\n}\napp.g = function () {\n}\n", [("f", 1, 4), ("g", 5, 6)]),
        (
            "a.tsx",
            "const f = (a) => {\n  return <b/>;\n};\nclass A {\n  g = () => {\n  };\n}\n",
            [("f", 1, 3), ("g", 5, 6)],
        ),
        ("a.ts", "export default { f() {\n}, g: async () => {\n} };\nrun(() => {\n});\n", [("f", 1, 2), ("g", 2, 3)]),
        (
            "a.php",
            "<?php\nfunction f($a) {\n}\nclass A {\n  static function g() {\n  }\n}\n",
            [("f", 2, 3), ("g", 5, 6)],
        ),
        ("a.kt", "class A {\n  @B\n  fun f() {\n  }\n}\n", [("f", 3, 4)]),
        ("a.cpp", "int A::f(int a) {\n}\n", [("A::f", 1, 2)]),
        ("a.sh", "f() {\n  ls\n}\n", [("f", 1, 3)]),
        ("a.rb", "class A\n  def f\n  end\nend\n", [("f", 2, 3)]),
        ("a.cs", "class A {\n  int F() {\n    return 1;\n  }\n}\n", [("F", 2, 4)]),
        ("a.swift", "func f() {\n}\n", [("f", 1, 2)]),
        ("a.go", "func ( {\n", []),
        ("A.java", "class A {\n  public int f(int a)\n      throws X {\n    return 1;\n  }\n}\n", [("f", 2, 5)]),
        ("a.rs", "impl A {\n    pub fn f(&self) -> u8 {\n        1\n    }\n}\n", [("f", 2, 4)]),
    ],
)
def test_functions_are_found_in_each_language(path: str, text: str, expected: list[tuple[str, int, int]]) -> None:
    found = find_functions(SourceText(path, text, tuple(text.split("\n"))))
    assert [(item.name, item.start_line, item.end_line) for item in found] == expected


def test_comments_are_no_code_and_branches_are_counted() -> None:
    text = "def f(a):\n    # three\n\n    if a:\n        return 1\n"
    (span,) = find_functions(SourceText("a.py", text, tuple(text.split("\n"))))
    assert (span.code_lines, span.branches) == (3, 1)


def test_the_commit_of_each_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for number in range(2):
        (tmp_path / "a.py").write_text("x = 1\n" * (number + 1))
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", f"Change {number}")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    newest, oldest = (commit.id for commit in read_history().commits)
    assert blame("a.py") == {1: oldest, 2: newest}
    assert blame("none.py") == {}
    assert describe_history() == f"2 commits since {datetime.now(UTC).year}"


def test_a_deleted_file_is_told_with_the_commit_that_did_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for number, name in enumerate(("guide.md", "other.md", "")):
        (tmp_path / "guide.md").unlink(missing_ok=True)
        if name:
            (tmp_path / name).write_text("x\n")
        git(tmp_path, "add", "-A", ".")
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", f"Change {number}")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    deletions.cache_clear()
    ((path, commit),) = deletions().items()
    deletions.cache_clear()
    assert (path, commit.partition(" ")[2]) == ("guide.md", "(Change 1)")
