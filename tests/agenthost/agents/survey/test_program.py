import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agenthost.agents
from agenthost.agents import overtime
from agenthost.agents.survey import program
from agenthost.agents.survey.finding import Evidence, Finding
from agenthost.agents.survey.survey import Survey

pytestmark = pytest.mark.processes

PROGRAM = Path(agenthost.agents.__file__).parent


def survey(folder: Path, *arguments: str, prompt: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the survey as the sandbox does: a directory, isolated, in the repository."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), "survey", *arguments],
        cwd=folder,
        input=prompt,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def messages(completed: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert completed.returncode == 0, completed.stderr
    return [json.loads(line) for line in completed.stdout.splitlines()]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        "README.md": "# Shop\n\nSee [the guide](docs/guide.md).\n",
        "shop/__init__.py": "",
        "shop/cart.py": "from shop.price import price\n\ndef total(x, seen=[]):\n    seen.append(x)\n    return price()\n",
        "shop/price.py": "from shop.cart import total\n\ndef price(): return 1\n",
        "tests/test_cart.py": "def test_a():\n    assert cart.total == 1\n",
        "MANIFEST.in": "include Changelog\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_it_speaks_in_words_and_ends_in_findings(repository: Path) -> None:
    said = messages(survey(repository, "all", prompt="What is wrong with the price?"))
    assert [message["type"] for message in said].count("final") == 1
    assert said[-1]["type"] == "final"
    assert {message["type"] for message in said} == {"log", "answer", "final"}
    findings = said[-1]["result"]["findings"]
    assert {item["category"] for item in findings} == {"docs"}
    for item in findings:
        assert set(item) == {"id", "severity", "title", "claim", "category", "remedy", "rule", "evidence"}
        for place in item["evidence"]:
            lines = (repository / place["path"]).read_text().split("\n")
            assert "\n".join(lines[place["start_line"] - 1 : place["end_line"]]) == place["quote"]


@pytest.mark.parametrize("lens", ["hotspots", "structure", "tests", "docs", "delivery", "inventory"])
def test_each_lens_says_the_same_about_the_same_snapshot(repository: Path, lens: str) -> None:
    first, second = (survey(repository, lens, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first.stdout == second.stdout
    assert {item["category"] for item in messages(first)[-1]["result"]["findings"]} <= {lens}


def test_an_empty_folder_has_no_findings_and_no_history(tmp_path: Path) -> None:
    said = messages(survey(tmp_path, "all"))
    assert said[-1]["result"]["findings"] == []
    assert said[-1]["result"]["notes"] == [
        "No history was given (GIT_DIR is not set): no hotspots can be told.",
        "The snapshot is empty: there is nothing to judge.",
    ]


def test_what_cannot_be_judged_is_told_with_the_result(repository: Path) -> None:
    (repository / "large.py").write_text("0\n" * 600_000)
    unread = "Files not read, so not judged: 1 larger than 1,000,000 bytes."
    notes = {
        lens: messages(survey(repository, lens))[-1]["result"].get("notes", [])
        for lens in ("hotspots", "structure", "tests", "docs", "delivery")
    }

    assert notes == {
        "hotspots": ["No history was given (GIT_DIR is not set): no hotspots can be told.", unread],
        "structure": [unread],
        "tests": [unread],
        "docs": ["Links of documents were not judged: the host has no markdown-it-py.", unread],
        "delivery": [unread],
    }


def test_a_lens_counts_the_files_that_it_judged(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(survey: Survey) -> list[Finding]:
        return [
            Finding("lens:a", "It is there", (Evidence(one.path, 1, 1, ""),)) for one, _ in survey.python(survey.tests)
        ]

    (repository / "tests" / "test_broken.py").write_text("def (\n")
    monkeypatch.setattr(program, "LENSES", {"tests": {"them": look}})
    assert program.main(["tests"], root=repository) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert result["unjudged"] == 1
    assert result["notes"] == ["1 file not parsed, so not judged, tests/test_broken.py first."]
    assert result["coverage"] == {
        "tool": "lens tests",
        "judged": {"Python": 1},
        "skipped": {"Python": 1},
        "rules": {"lens:a": 1},
    }


def test_a_host_without_parsers_says_so_and_judges_the_rest(repository: Path) -> None:
    for folder in ("p", "q"):
        (repository / folder).mkdir()
        (repository / folder / "package.json").write_text(f'{{"name": "{folder}"}}')
    (repository / "p/a.ts").write_text("import './b';\n")
    result = messages(survey(repository, "structure"))[-1]["result"]

    assert "unjudged" not in result
    assert result["notes"] == [
        "1 TypeScript file not judged: this host has no parser; pip install 'conductor-agenthost[survey]' brings it."
    ]
    assert result["coverage"]["skipped"] == {"TypeScript": 1}


def test_the_inventory_counts_every_file_by_its_kind(repository: Path) -> None:
    for name, text in {
        "prod.Dockerfile": "FROM a",
        "run": "#!/bin/sh",
        "a.inl": "",
        "vendor/a.c": "",
        "a.bin": "\0",
        "go.sum": "a\n",
    }.items():
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(text)
    result = messages(survey(repository, "inventory"))[-1]["result"]

    assert result == {
        "findings": [],
        "coverage": {
            "tool": "lens inventory",
            "files": {"Python": 4, ".in": 1, ".inl": 1, "Dockerfile": 1, "Markdown": 1, "Shell": 1},
            "left_out": {"for tools only": 1, "not text": 1, "vendored": 1},
            "left_out_names": "for tools only: go.sum; vendored: vendor/a.c",
            "history": "No history was given (GIT_DIR is not set)",
        },
    }


def test_a_run_from_before_an_upgrade_hears_that_its_lens_is_gone(tmp_path: Path) -> None:
    (result,) = (message["result"] for message in messages(survey(tmp_path, "risks")))
    assert result["findings"] == []
    assert result["notes"][0].startswith("The lens risks has given way to analyzers")


def test_an_unknown_lens_is_refused(tmp_path: Path) -> None:
    completed = survey(tmp_path, "everything")
    assert completed.returncode == 2
    assert "hotspots|structure|tests|docs|delivery|inventory|all" in completed.stderr


def test_a_hostile_repository_is_survived_and_nothing_of_it_is_run(tmp_path: Path) -> None:
    hostile = {
        "ast.py": b"raise SystemExit(9)\n",
        "sitecustomize.py": b"raise SystemExit(9)\n",
        "json/__init__.py": b"raise SystemExit(9)\n",
        "brackets.py": b"(" * 60_000,
        "signs.py": b"x = " + b"-" * 200_000 + b"1\n",
        "nested.py": b"\n".join(b" " * n + b"if x:" for n in range(95)) + b"\n" + b" " * 95 + b"pass\n",
        "chain.py": b"x" + b".a" * 20_000 + b"\n",
        "pairs.ts": b"x = " + (b"[" * 80 + b"\n") * 6000 + (b"]" * 80 + b"\n") * 6000,
        "sum.py": b"x = " + b"1 + " * 20_000 + b"1\n",
        "binary.py": bytes(range(256)) * 100,
        "README.md": b"[" * 50_000 + b"](" * 50_000 + b"\n# " + b"a" * 90_000 + b"\n```\n",
        "long.js": b"/*" + b"'" * 100_000 + b"\nrequire('./long')" + b"`" * 9999,
        "Makefile": b":" * 50_000 + b"\n",
        "package.json": b"[" * 100_000,
        "pyproject.toml": b"[project]\nversion = '" + b"9" * 50_000 + b"\n",
        "Dockerfile": b"FROM\nFROM \nCMD\nUSER\n",
        ".github/workflows/a.yml": b"on: pull_request_target\nrun: |\n" + b" " * 50_000 + b"\n\xc3\xa4 run:\n",
        "tests/test_a.py": b"def test_a(): assert" + b" (" * 5000 + b"\n",
        "a.c": b'#include "a.c"\n' + b"int f(" * 9000,
    }
    for name, content in hostile.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "self").symlink_to(tmp_path)
    (tmp_path / "passwd.py").symlink_to("/etc/passwd")
    (tmp_path / os.fsdecode(b"\xff\xfe\n")).mkdir()
    said = messages(survey(tmp_path, "all", prompt="\x00 what?"))
    assert said[-1]["type"] == "final"
    assert [message["text"] for message in said if "failed (" in message.get("text", "")] == []
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_detector_that_never_asks_for_the_time_is_ended_and_keeps_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(_: Survey) -> Iterator[Finding]:
        yield Finding("lens:loop", "A loop", (Evidence("a.py", 1, 1, "x"),))
        while True:
            with contextlib.suppress(Exception):
                "x".count("y")

    (tmp_path / "a.py").write_text("x\n")
    monkeypatch.setattr(program, "LENSES", {"structure": {"loops": look}})
    monkeypatch.setattr(program, "LENS_SECONDS", 0.0)
    monkeypatch.setattr(overtime, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(Survey, "is_late", lambda _: False)
    assert program.main(["structure"], root=tmp_path) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert [finding["title"] for finding in result["findings"]] == ["A loop"]
    assert result["notes"] == ["Looking at loops took too long, and was ended: the rest of it is not judged."]


def test_of_a_rule_only_so_many_findings_are_told_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [Finding("lens:a", f"t{number}", (Evidence("a.py", 1, 1, "x"),)) for number in range(program.MAX_PLACES + 3)]
    monkeypatch.setattr(
        program, "LENSES", {"docs": {"it": lambda _: [*many, many[0], Finding("lens:b", "nowhere", ())]}}
    )
    assert program.main(["docs"], root=tmp_path) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert len(result["findings"]) == program.MAX_PLACES
    assert result["coverage"]["rules"] == {"lens:a": len(many)}
