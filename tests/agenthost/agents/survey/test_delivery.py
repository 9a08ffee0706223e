from collections.abc import Callable

import pytest

from agenthost.agents.survey.delivery.lens import find_in_pipelines
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]
WORKFLOW = ".github/workflows/ci.yml"


def workflow(steps: str, *, job: str = "", on: str = "push", more: str = "") -> str:
    """Writes a workflow of one job; every line of `steps` is one step."""
    listed = "".join(f"      - {step}\n" for step in steps.splitlines())
    return f"on: [{on}]\njobs:\n  main:\n    runs-on: ubuntu-latest\n{job}    steps:\n{listed}{more}"


MATRIX = "    strategy:\n      matrix:\n        os: [a, b]\n        include:\n          - extra: 1\n"
TESTS = "  tests:\n    runs-on: x\n    steps:\n      - run: make all\n"
PUBLISH = "run: twine upload dist/*"


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("undefined-reference", {WORKFLOW: workflow("if: matrix.offline\n  run: a", job=MATRIX)}),
        ("undefined-reference", {WORKFLOW: workflow("run: echo ${{ steps.gone.outputs.x }}")}),
        ("undefined-reference", {WORKFLOW: workflow("run: echo ${{ needs.tests.outputs.x }}", more=TESTS)}),
        ("undefined-label", {WORKFLOW: workflow("run: a", job="    name: On ${{ matrix.os }}\n")}),
        ("untested-release", {WORKFLOW: workflow(PUBLISH)}),
        ("untested-release", {WORKFLOW: workflow("uses: pypa/gh-action-pypi-publish@release/v1", on="release")}),
        ("untested-release", {WORKFLOW: workflow("run: make ship"), "Makefile": "ship: build\n\tcargo publish\n"}),
        ("untested-image", {WORKFLOW: workflow("run: docker build .\nrun: docker push a/b")}),
        ("unfrozen-install", {WORKFLOW: workflow("run: npm install"), "package-lock.json": "{}"}),
        ("unfrozen-install", {WORKFLOW: workflow("run: (cd ui && yarn)"), "ui/yarn.lock": "# yarn lockfile v1\n"}),
        ("unfrozen-install", {".gitlab-ci.yml": "a:\n  script:\n    - npm i\n", "package-lock.json": "{}"}),
    ],
)
def test_a_pipeline_that_lets_faults_through_is_found(look: Looker, rule: str, files: dict[str, str]) -> None:
    (found,) = look(find_in_pipelines, files)
    assert found.rule == f"lens:{rule}"


@pytest.mark.parametrize(
    "files",
    [
        {WORKFLOW: workflow("if: matrix.os == 'a'\nrun: echo ${{ matrix.extra }} matrix.none", job=MATRIX)},
        {WORKFLOW: workflow("run: echo ${{ matrix.any }}", job="    strategy:\n      matrix: ${{ fromJSON(x) }}\n")},
        {WORKFLOW: workflow("id: own\n  run: a\nrun: echo ${{ steps.own.outputs.x }} # ${{ steps.* }}")},
        {WORKFLOW: workflow(f"run: pytest\n{PUBLISH}")},
        {WORKFLOW: workflow(PUBLISH, job="    needs: tests\n", more=TESTS)},
        {WORKFLOW: workflow(f"run: make all\n{PUBLISH}"), "Makefile": "all: check\ncheck:\n\tpython -m unittest\n"},
        {WORKFLOW: workflow(PUBLISH, on="workflow_dispatch")},
        {WORKFLOW: workflow("run: twine upload --repository testpypi dist/*")},
        {WORKFLOW: workflow("run: npm ci\nrun: npm install -g yo\nrun: npm i left-pad"), "package-lock.json": "{}"},
        {WORKFLOW: workflow("run: npm install")},
        {WORKFLOW: workflow("run: yarn"), "yarn.lock": "__metadata:\n  version: 8\n"},
        {WORKFLOW: "on: [push\njobs: {"},
        {WORKFLOW: "[" * 5000},
        {WORKFLOW: "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50)) + "jobs: *a\n"},
    ],
)
def test_a_near_miss_in_a_pipeline_is_left_alone(look: Looker, files: dict[str, str]) -> None:
    assert look(find_in_pipelines, files) == []


def test_systems_that_no_rule_knows_are_named(make_survey: Callable[..., object]) -> None:
    survey = make_survey({"Jenkinsfile": "node {}\n", "ci/Jenkinsfile.release": "node {}\n"})
    assert find_in_pipelines(survey) == []  # type: ignore[arg-type]
    assert survey.gaps == ["No rule covers Jenkins: Jenkinsfile and 1 other file."]  # type: ignore[attr-defined]
