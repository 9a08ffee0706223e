"""A look at other files of the repository: whose an action is, as whom an image runs, and what runs a script."""

from pathlib import Path

import pytest

from agenthost.agents.analyzer.doubts import Around, why_not
from agenthost.agents.analyzer.narrowing.repository import Repository
from agenthost.agents.analyzer.results import Result


def is_told(root: Path, rule: str, path: str, line: int, files: dict[str, str]) -> bool:
    """Returns whether a result counts in a repository of these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    here = Repository(root)
    return not why_not(rule, Result(rule, "", "", path, line), files[path].encode(), Around(here, here))


STAYS = 'FROM a:1\nUSER root\nRUN b\nCMD ["c"]\n'


@pytest.mark.parametrize(
    ("text", "script", "told"),
    [
        (STAYS, "", True),
        ("FROM jenkins/jenkins:2\nUSER root\nRUN b\n", "", True),
        (STAYS.replace("c", "./start.sh"), "exec b\n", True),
        (STAYS.replace("c", "./start.sh"), 'exec gosu app "$@"\n', False),
        (STAYS.replace("c", "./start.sh"), 'exec su app -c "$1"\n', False),
        (STAYS.replace("CMD", "ENTRYPOINT").replace("c", "/base-entrypoint.sh"), "", False),
        (STAYS.replace("c", "nginx"), "", False),
        (STAYS + "USER $NAME\n", "", False),
        (STAYS + "FROM b:1\nUSER app\n", "", False),
        (STAYS.replace("a:1", "postgres:18"), "", False),
        (STAYS.replace("a:1", "lscr.io/linuxserver/b:1"), "", False),
        (STAYS.replace("RUN b", "ADD s6-overlay.tar /"), "", False),
        (STAYS.replace("c", "setpriv --reuid=1 c"), "", False),
        (STAYS.replace("USER", "# The entrypoint drops privileges\nUSER"), "", False),
        ('FROM a:1 AS base\nENTRYPOINT ["gosu", "app"]\nFROM base\nUSER root\n', "", False),
    ],
)
def test_an_image_that_goes_back_to_a_user_is_not_told(tmp_path: Path, text: str, script: str, told: bool) -> None:  # noqa: FBT001 - a table
    files = {"Dockerfile": text} | ({"docker/start.sh": script} if script else {})
    line = next(number for number, line in enumerate(text.split("\n"), 1) if line == "USER root")
    assert is_told(tmp_path, "DL3002", "Dockerfile", line, files) is told


OWN = "        uses: Own/setup@v1"
README = "[![a](https://github.com/own/app/actions/workflows/a.yml/badge.svg)](x)\n"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"package.json": '{"repository": "github:own/app"}'}, False),
        ({"package.json": '{"repository": {"url": "git+https://github.com/own/app.git"}}'}, False),
        ({"pyproject.toml": '[project.urls]\n"Source Code" = "https://github.com/own/app"\n'}, False),
        ({"pyproject.toml": '[tool.poetry]\nrepository = "https://github.com/own/app"\n'}, False),
        ({"go.mod": "module github.com/own/app/v2\n"}, False),
        ({"Cargo.toml": '[package]\nrepository = "https://github.com/own/app"\n'}, False),
        ({"README.md": README}, False),
        ({"README.md": README + "![b](https://img.shields.io/github/v/release/other/app)"}, True),
        ({"README.md": README, "go.mod": "module github.com/other/app\n"}, True),
        ({"README.md": "See https://github.com/own/guide\n"}, True),
        ({"package.json": "[1"}, True),
        ({}, True),
    ],
)
@pytest.mark.parametrize("rule", ["unpinned-uses", "workflow-branch-gets-secret"])
def test_an_action_of_the_repositorys_own_organization_is_not_told(
    tmp_path: Path,
    rule: str,
    files: dict[str, str],
    told: bool,  # noqa: FBT001 - a table
) -> None:
    assert is_told(tmp_path, rule, "a.yml", 1, {"a.yml": OWN, **files}) is told


SCRIPT = "main().catch(console.error)\n"


@pytest.mark.parametrize(
    ("path", "files", "told"),
    [
        ("scripts/docs.ts", {".github/workflows/a.yml": "run: npx tsx scripts/docs.ts\n"}, True),
        ("scripts/docs.ts", {"package.json": '{"scripts": {"prepack": "tsx scripts/docs"}}'}, True),
        ("scripts/docs.ts", {"package.json": '{"scripts": {"docs": "tsx scripts/docs.ts && cp a b"}}'}, True),
        (
            "a/scripts/docs.ts",
            {
                "a/package.json": '{"scripts": {"d": "tsx scripts/docs"}}',
                "package.json": '{"scripts": {"x": "pnpm -r run d"}}',
            },
            True,
        ),
        ("scripts/build/index.js", {"Makefile": "all:\n\tnode scripts/build\n"}, True),
        ("scripts/docs.ts", {"package.json": '{"scripts": {"docs": "tsx scripts/docs.ts"}}'}, False),
        ("scripts/docs.ts", {".github/workflows/a.yml": "run: make docs\n"}, False),
        ("benchmarks/scripts/run.js", {".github/workflows/a.yml": "run: node scripts/run.js\n"}, False),
        ("examples/scripts/run.js", {"package.json": '{"scripts": {"build": "node scripts/run.js"}}'}, False),
    ],
)
def test_a_script_that_only_a_person_runs_is_not_told(
    tmp_path: Path,
    path: str,
    files: dict[str, str],
    told: bool,  # noqa: FBT001 - a table
) -> None:
    assert is_told(tmp_path, "js-script-fails-silently", path, 1, {path: SCRIPT, **files}) is told


def test_a_folder_of_sources_is_no_name_for_a_script(tmp_path: Path) -> None:
    files = {"scripts/docs.ts": SCRIPT, "Makefile": "docs:\n\tmake -C docs\n"}
    assert not is_told(tmp_path, "js-script-fails-silently", "scripts/docs.ts", 1, files)
