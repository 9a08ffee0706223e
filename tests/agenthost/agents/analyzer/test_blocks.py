"""Scripts in workflows are judged as files of their own, and what a tool says of them stands in the workflow."""

import contextlib
from pathlib import Path

import pytest

from agenthost.agents.analyzer.blocks import blocks as bounds
from agenthost.agents.analyzer.blocks.block import UnreadableError
from agenthost.agents.analyzer.blocks.workflow_run import STAND_IN, read
from tests.agenthost.agents.analyzer.driven import analyze, tree

WORKFLOW = ".github/workflows/ci.yml"
# Names each line of a block that holds BAD, as a tool with an adapter of shellcheck's.
TOOL = """
import json, sys
found = [
    {"file": path, "line": at, "endLine": at, "code": 1, "level": "error", "message": line.strip()}
    for path in sys.argv[1:] for at, line in enumerate(open(path), 1) if "BAD" in line
]
print(json.dumps({"comments": found}))
"""
SETTINGS = {"files": [".github/workflows/*.yml", "action.yml"], "blocks": "workflow-run", "adapter": "shellcheck"}


def workflow(steps: str, *, job: str = "runs-on: ubuntu-latest", top: str = "") -> str:
    return f"on: push\n{top}jobs:\n  a:\n    {job}\n    steps:\n{steps}"


def heads(text: str) -> list[str]:
    return [block.head.strip() for block in read(text).blocks]


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ("    - run: BAD\n", [6]),
        (
            "    - run: |\n\n        good\n        # note\n        BAD ${{ a }}\n      name: x\n    - run: BAD\n",
            [10, 12],
        ),
        ("    - run: >-  # folded\n        good &&\n        more\n\n        BAD\n        still\n", [10]),
        ("    - run: good\n        BAD\n        more\n", [6]),
        ("    - run: |\n        echo '${{ a ||\n          b }}'\n        BAD\n", [9]),
        ('    - run: "good\n        BAD"\n', [6]),
        ("    - &one\n      run: BAD\n    - *one\n", [7]),
        ("    - run: &script |\n        BAD\n    - run: *script\n", [7]),
        ("    - {run: BAD, shell: sh}\n", [6]),
        ("    - run: |2\n          good\n        BAD\n", [8]),
    ],
)
def test_each_line_of_a_script_knows_its_line_of_the_workflow(steps: str, lines: list[int]) -> None:
    blocks = read(workflow(steps)).blocks
    pairs = [pair for block in blocks for pair in zip(block.text.split("\n"), block.lines, strict=True)]

    assert [first for text, (first, _) in pairs if "BAD" in text] == lines


@pytest.mark.processes
def test_a_result_stands_in_the_workflow(tmp_path: Path) -> None:
    files = {WORKFLOW: workflow("    - run: |\n        good\n        BAD\n    - run: BAD\n")}
    result, _ = analyze(tree(tmp_path, files), TOOL, **SETTINGS, tool="shell")
    places = [finding["evidence"][0] for finding in result["findings"]]

    assert [(place["path"], place["start_line"]) for place in places] == [(WORKFLOW, 8), (WORKFLOW, 9)]
    assert {finding["rule"] for finding in result["findings"]} == {"shell:SC1"}
    assert result["coverage"]["judged"] == {"GitHub workflow": 1}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("echo ${{ github.ref }} x", f"echo {STAND_IN} x"),
        ("echo ${{ format('}}{0}', a) }}x", f"echo {STAND_IN}x"),
        ("echo ${{a}}${{ b }}", f"echo {STAND_IN}{STAND_IN}"),
        ("echo ${{ never closed", "echo ${{ never closed"),
        ("echo ${PATH}}", "echo ${PATH}}"),
    ],
)
def test_an_expression_becomes_a_variable(expression: str, text: str) -> None:
    assert read(workflow(f"    - run: |\n        {expression}\n")).blocks[0].text == f"{text}\n"


def test_the_shell_comes_from_the_step_the_job_the_workflow_or_the_runner() -> None:
    plain, with_pipefail = "#!/bin/bash -e", "#!/bin/bash -e\nset -o pipefail"
    top, job = "defaults: {run: {shell: sh}}\n", "defaults: {run: {shell: bash}}\n    runs-on: x"

    assert heads(workflow("    - run: a\n")) == [plain]
    assert heads(workflow("    - run: a\n", top=top)) == ["#!/bin/sh -e"]
    assert heads(workflow("    - run: a\n", top=top, job=job)) == [with_pipefail]
    assert heads(workflow("    - {run: a, shell: 'bash -l {0}'}\n", top=top, job=job)) == ["#!/bin/bash"]
    assert heads(workflow("    - {run: a, shell: 'msys2 {0}'}\n")) == [with_pipefail]
    assert heads("runs: {steps: [{run: a, shell: bash}]}") == [with_pipefail]


@pytest.mark.parametrize(
    ("steps", "job", "kind"),
    [
        ("    - {run: a, shell: pwsh}\n", "runs-on: ubuntu-latest", "pwsh"),
        ("    - {run: a, shell: 'python {0}'}\n", "runs-on: ubuntu-latest", "python"),
        ("    - {run: a, shell: '${{ matrix.shell }}'}\n", "runs-on: ubuntu-latest", "chosen at run time"),
        ("    - run: a\n", "runs-on: windows-2022", "pwsh"),
        ("    - run: a\n", "runs-on: [self-hosted, Windows]", "pwsh"),
        ("    - run: a\n", "{strategy: {matrix: {os: [windows-2022]}}, runs-on: '${{ matrix.os }}'}", "pwsh"),
        ("    - {run: a, if: runner.os == 'Windows'}\n", "runs-on: ${{ matrix.os }}", "pwsh"),
    ],
)
def test_scripts_for_other_shells_are_counted_and_left_out(steps: str, job: str, kind: str) -> None:
    text = workflow(steps, job=job) if not job.startswith("{") else f"jobs:\n  a:\n    <<: x\n{_job(job, steps)}"

    assert dict(read(text).others) == {kind: 1}
    assert not read(text).blocks


def _job(job: str, steps: str) -> str:
    matrix, runner = job.strip("{}").split(", runs-on")
    return f"    {matrix}\n    runs-on{runner}\n    steps:\n{steps}"


@pytest.mark.parametrize("condition", ["runner.os != 'Windows'", "matrix.os == 'ubuntu-latest'"])
def test_a_step_that_also_runs_elsewhere_is_judged(condition: str) -> None:
    job = "strategy:\n      matrix:\n        os: [windows-2022, ubuntu-latest]\n    runs-on: ${{ matrix.os }}"

    assert len(read(workflow(f"    - run: a\n      if: {condition}\n", job=job)).blocks) == 1


@pytest.mark.processes
def test_what_cannot_be_taken_apart_is_told_and_the_rest_is_judged(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        WORKFLOW: workflow("    - run: BAD\n    - {run: x, shell: pwsh}\n"),
        ".github/workflows/broken.yml": "jobs: [\n",
        ".github/workflows/large.yml": "# x\n" * 100_000,
        ".github/workflows/none.yml": "on: push\n",
        "action.yml": b"runs: {steps: [{run: BAD \xff}]}",
    }
    result, _ = analyze(tree(tmp_path, files), TOOL, **SETTINGS)

    assert len(result["findings"]) == 2
    assert result["unjudged"] == 2
    assert result["coverage"]["judged"] == {"GitHub action": 1, "GitHub workflow": 2}
    assert any("broken.yml and" in note or "large.yml" in note for note in result["notes"])
    assert any("pwsh 1" in note for note in result["notes"])


@pytest.mark.processes
def test_many_blocks_and_long_ones_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_BLOCKS", 3)
    monkeypatch.setattr(bounds, "MAX_BLOCK_CHARACTERS", 1000)
    files = {
        ".github/workflows/a.yml": workflow("    - run: BAD\n" * 2),
        ".github/workflows/b.yml": workflow("    - run: BAD\n" * 2),
        ".github/workflows/c.yml": workflow(f"    - run: {'x' * 1001}\n"),
    }
    result, _ = analyze(tree(tmp_path, files), TOOL, **SETTINGS)

    assert len(result["findings"]) == 2
    assert result["unjudged"] == 2
    assert sorted(note.partition("it ")[2][:7] for note in result["notes"]) != ["", ""]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\na: &a [*b{n}, *b{n}]\n" for n in range(30)),
        "[" * 500,
        "a: " * 5000,
        "- " * 5000 + "x",
    ],
)
def test_hostile_yaml_ends_in_a_value(text: str) -> None:
    with contextlib.suppress(UnreadableError):
        assert not read(text).blocks
