import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.hotspots.cochange import find_cochange
from agenthost.agents.survey.hotspots.lens import find_hotspots
from agenthost.agents.survey.reading.functions import find_functions, tangled_function
from agenthost.agents.survey.reading.history import Change, Commit, History, read_history
from agenthost.agents.survey.reading.snapshot import SourceText

pytestmark = pytest.mark.processes

Looker = Callable[..., list[Finding]]
TANGLE = "def tangle(a):\n" + "".join(f"    if a == {n}:\n        a += 1\n" for n in range(60)) + "    return a\n"
LARGE = TANGLE + "".join(f"value_{n} = {n}\n" for n in range(400))


def commits(*paths: str, count: int, start: int = 0) -> list[Commit]:
    return [Commit(start + n, "Fix it", tuple(Change(path, 3, 1) for path in paths)) for n in range(count)]


def test_a_large_file_that_changes_all_the_time_is_a_hotspot(look: Looker) -> None:
    files = {"core.py": LARGE, **{f"m{n}.py": "x = 1\n" for n in range(20)}}
    history = [*commits("core.py", count=60)] + [commit for n in range(20) for commit in commits(f"m{n}.py", count=3)]
    (found,) = look(find_hotspots, files, history=History(tuple(history)))
    assert "50 % of commits to product code change one file of 522 lines: core.py" in found.title
    assert "60 of the 120 commits" in found.claim
    assert "`tangle`" in found.claim
    assert found.evidence[0].quote == "def tangle(a):"


@pytest.mark.parametrize(
    ("large", "count"), [("x = 1\n", 60), (LARGE, 10)], ids=["often changed but small", "large but rarely changed"]
)
def test_one_of_both_is_no_hotspot(look: Looker, large: str, count: int) -> None:
    files = {"core.py": large, **{f"m{n}.py": "x = 1\n" for n in range(20)}}
    history = commits("core.py", count=count) + [commit for n in range(20) for commit in commits(f"m{n}.py", count=6)]
    assert look(find_hotspots, files, history=History(tuple(history))) == []


def test_mass_changes_and_tests_do_not_count(look: Looker) -> None:
    paths = [f"m{n}.py" for n in range(50)]
    files = {"core.py": LARGE, "tests/test_core.py": LARGE, **dict.fromkeys(paths, "x = 1\n")}
    history = commits("core.py", *paths, count=100) + commits("tests/test_core.py", "m1.py", count=100)
    assert look(find_hotspots, files, history=History(tuple(history))) == []


def test_without_history_it_says_so_and_goes_on(make_survey: Callable[..., object]) -> None:
    survey = make_survey({"core.py": LARGE})
    assert list(find_hotspots(survey)) == []  # type: ignore[arg-type]
    assert "no hotspots can be told" in survey.said  # type: ignore[attr-defined]


def test_distant_files_that_always_change_together_are_found(look: Looker) -> None:
    files = {"api/routes.py": "x = 1\n", "store/tables.py": "y = 1\n", "store/near.py": "import tables\n"}
    history = commits("api/routes.py", "store/tables.py", "store/near.py", count=20)
    (found, _) = look(find_cochange, files, history=History(tuple(history)))
    assert found.title == "Two files change together, and neither mentions the other: api/routes.py and store/near.py"
    assert (
        look(find_cochange, {**files, "api/routes.py": "import near, tables\n"}, history=History(tuple(history))) == []
    )


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
        ("a.js", "async function f(a) {\n  if (a) {\n  }\n}\napp.g = function g() {\n}\n", [("f", 1, 4), ("g", 5, 6)]),
        ("A.java", "class A {\n  public int f(int a)\n      throws X {\n    return 1;\n  }\n}\n", [("f", 2, 5)]),
        ("a.rs", "impl A {\n    pub fn f(&self) -> u8 {\n        1\n    }\n}\n", [("f", 2, 4)]),
    ],
)
def test_functions_are_found_in_each_language(path: str, text: str, expected: list[tuple[str, int, int]]) -> None:
    found = find_functions(SourceText(path, text, tuple(text.split("\n"))))
    assert [(item.name, item.start_line, item.end_line) for item in found] == expected


def test_docstrings_and_comments_are_not_code() -> None:
    text = 'def f(a):\n    """One\n    two\n    """\n    # three\n\n    if a:\n        return 1\n'
    span = tangled_function(SourceText("a.py", text, tuple(text.split("\n"))))
    assert span is not None
    assert (span.code_lines, span.branches) == (3, 1)
