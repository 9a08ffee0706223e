from collections.abc import Callable

import pytest

from agenthost.agents.survey.delivery.lens import find_in_pipelines
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]
WORKFLOW = ".github/workflows/ci.yml"


def workflow(steps: str, *, job: str = "", on: str = "push", more: str = "") -> str:
    """Writes a workflow of one job; a line of `steps` that is indented goes on with a step."""
    listed = "".join(f"      {step}\n" if step.startswith(" ") else f"      - {step}\n" for step in steps.splitlines())
    return f"on: [{on}]\njobs:\n  main:\n    runs-on: ubuntu-latest\n{job}    steps:\n{listed}{more}"


MATRIX = "    strategy:\n      matrix:\n        os: [a, b]\n        include:\n          - extra: 1\n"
TESTS = "  tests:\n    runs-on: x\n    steps:\n      - run: make all\n"
PYTHONS = "    strategy:\n      matrix:\n        python-version: ['3.8']\n"
CLASSIFIERS = "".join(f'"Programming Language :: Python :: 3.{minor}",\n' for minor in (8, 9))
PUSHED = "on:\n  push:\n    branches: [main]\njobs:\n  main:\n    runs-on: x\n    steps:\n      - "
SUITES = "".join(f"test-{name}:\n\tDB={name} pytest --{name}\n" for name in "abc")
TEST = "def test_a():\n    assert f()\n"
PUBLISH = "run: twine upload dist/*"


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("undefined-reference", {WORKFLOW: workflow("if: matrix.offline\n  run: a", job=MATRIX)}),
        ("undefined-reference", {WORKFLOW: workflow("run: echo ${{ steps.gone.outputs.x }}")}),
        ("undefined-reference", {WORKFLOW: workflow("run: echo ${{ needs.tests.outputs.x }}", more=TESTS)}),
        (
            "missing-input",
            {WORKFLOW: workflow("uses: actions/setup-java@v4\n  with: {java-version-file: .java-version}")},
        ),
        ("missing-input", {WORKFLOW: workflow("run: pip install -r requirements/dev.txt")}),
        ("undefined-label", {WORKFLOW: workflow("run: a", job="    name: On ${{ matrix.os }}\n")}),
        ("untested-release", {WORKFLOW: workflow(PUBLISH)}),
        ("untested-release", {WORKFLOW: workflow("uses: pypa/gh-action-pypi-publish@release/v1", on="release")}),
        ("untested-release", {WORKFLOW: workflow("run: make ship"), "Makefile": "ship: build\n\tcargo publish\n"}),
        ("untested-image", {WORKFLOW: workflow("run: docker build .\nrun: docker push a/b")}),
        ("unfrozen-install", {WORKFLOW: workflow("run: npm install"), "package-lock.json": "{}"}),
        ("unfrozen-install", {WORKFLOW: workflow("run: (cd ui && yarn)"), "ui/yarn.lock": "# yarn lockfile v1\n"}),
        ("unfrozen-install", {".gitlab-ci.yml": "a:\n  script:\n    - npm i\n", "package-lock.json": "{}"}),
        ("dead-job", {WORKFLOW: workflow("run: a", job="    if: ${{ false }} # broken\n")}),
        ("dead-job", {WORKFLOW: workflow("if: github.event_name == 'release'\n  run: a")}),
        ("dead-job", {WORKFLOW: PUSHED + "if: startsWith(github.ref, 'refs/tags/v') && true\n        run: a\n"}),
        ("dead-job", {WORKFLOW: PUSHED + "if: github.ref == 'refs/heads/master'\n        run: a\n"}),
        ("dead-job", {WORKFLOW: workflow("run: a", job="    needs: gone\n")}),
        ("unfailing-check", {WORKFLOW: workflow("run: pytest\n  continue-on-error: true")}),
        ("unfailing-check", {WORKFLOW: workflow("run: mypy . || true")}),
        ("unfailing-check", {".gitlab-ci.yml": "lint:\n  allow_failure: true\n  script: flake8\n"}),
        (
            "unfailing-check",
            {WORKFLOW: workflow("run: ./gradlew lint"), "a/build.gradle": "lint {\n abortOnError false\n}\n"},
        ),
        ("unrun-check", {WORKFLOW: workflow("run: npm test"), "package.json": '{"scripts": {\n"lint": "eslint ."}}'}),
        ("unrun-suite", {WORKFLOW: workflow("run: make test-a test-b"), "Makefile": SUITES}),
        ("untested-version", {WORKFLOW: workflow("run: a", job=PYTHONS), "setup.py": CLASSIFIERS}),
        ("untested-version", {WORKFLOW: workflow("run: cargo test"), "Cargo.toml": 'rust-version = "1.70"\n'}),
        ("uncollected-tests", {WORKFLOW: workflow("run: pytest"), "tests/a_tests.py": TEST}),
        (
            "uncollected-tests",
            {WORKFLOW: workflow("run: pytest tests"), "tests/x.py": "", "more/tests/test_a.py": TEST},
        ),
        (
            "uncollected-tests",
            {WORKFLOW: workflow("run: go test ./..."), "a_test.go": "//go:build slow\n\npackage a\n"},
        ),
        (
            "uncollected-tests",
            {WORKFLOW: workflow("run: pnpm -r test"), "a/package.json": '{"name": "a"}', "a/b.test.ts": "x"},
        ),
        ("ci-without-tests", {WORKFLOW: workflow("run: make"), **{f"tests/test_{n}.py": TEST for n in range(3)}}),
    ],
)
def test_a_pipeline_that_lets_faults_through_is_found(look: Looker, rule: str, files: dict[str, str]) -> None:
    (found,) = look(find_in_pipelines, files)
    assert found.rule == f"lens:{rule}"


@pytest.mark.parametrize(
    "files",
    [
        {WORKFLOW: workflow("if: matrix.os == 'a'\n  run: echo ${{ matrix.extra }} matrix.none", job=MATRIX)},
        {WORKFLOW: workflow("run: echo ${{ matrix.any }}", job="    strategy:\n      matrix: ${{ fromJSON(x) }}\n")},
        {WORKFLOW: workflow("id: own\n  run: a\nrun: echo ${{ steps.own.outputs.x }} # ${{ steps.* }}")},
        {WORKFLOW: workflow(f"run: pytest\n{PUBLISH}")},
        {WORKFLOW: workflow(PUBLISH, job="    needs: tests\n", more=TESTS)},
        {WORKFLOW: workflow(f"run: make all\n{PUBLISH}"), "Makefile": "all: check\ncheck:\n\tpython -m unittest\n"},
        {WORKFLOW: workflow(PUBLISH, on="workflow_dispatch")},
        {WORKFLOW: workflow("run: twine upload --repository testpypi dist/*")},
        {WORKFLOW: workflow("run: ./gradlew publish")},  # from a branch: a snapshot
        {
            WORKFLOW: workflow(
                "uses: goreleaser/goreleaser-action@v6\n  with: {args: release --snapshot --skip publish}"
            )
        },
        {WORKFLOW: workflow("run: pip install -r requirements.txt"), "a/requirements.txt": ""},
        {WORKFLOW: workflow("run: pytest"), "tests/typing/a.py": TEST},
        {WORKFLOW: workflow("run: npm ci\nrun: npm install -g yo\nrun: npm i left-pad"), "package-lock.json": "{}"},
        {WORKFLOW: workflow("run: npm install")},
        {WORKFLOW: workflow("run: yarn"), "yarn.lock": "__metadata:\n  version: 8\n"},
        {WORKFLOW: workflow("run: a", job="    if: github.event_name == 'push' || false\n")},
        {WORKFLOW: workflow("if: startsWith(github.ref, 'refs/tags')\n  run: a")},
        {WORKFLOW: workflow("run: pytest || true\nrun: pytest -x")},
        {WORKFLOW: workflow("name: Nightly\n  run: pytest\n  continue-on-error: true")},
        {WORKFLOW: workflow("run: pytest\n  continue-on-error: ${{ matrix.os == 'a' }}", job=MATRIX)},
        {WORKFLOW: workflow(f"run: mvn install\n{PUBLISH}")},
        {WORKFLOW: workflow("run: bundle exec rake"), **{f"tests/test_{n}.py": TEST for n in range(3)}},
        {WORKFLOW: workflow("run: pnpm -r test"), "a/package.json": '{"scripts": {"test": "x"}}', "a/b.test.ts": "x"},
        {
            WORKFLOW: workflow("run: pnpm -r test"),
            "a/package.json": '{"name": "a"}',
            "a/b.test.ts": "x",
            "vitest.config.ts": "x",
        },
        {WORKFLOW: workflow("run: gotestsum"), "Makefile": "test:\n\tgo test ./...\n"},
        {WORKFLOW: workflow("run: a", job=PYTHONS), "setup.py": CLASSIFIERS, "tox.ini": "envlist = py{38,39}\n"},
        {WORKFLOW: workflow("run: cargo test"), "Cargo.toml": 'rust-version = "1.70"\n', "rust-toolchain": "1.70.0\n"},
        {WORKFLOW: workflow("run: npx eslint ."), "package.json": '{"scripts": {\n"lint": "eslint ."}}'},
        {WORKFLOW: workflow("uses: x/eslint-action@v9"), "package.json": '{"scripts": {\n"lint": "eslint ."}}'},
        {
            WORKFLOW: workflow("run: npm test"),
            "package.json": '{"scripts": {\n"lint": "eslint ."}}',
            "Jenkinsfile": "x",
        },
        {WORKFLOW: workflow("run: pytest && pytest tests/a_tests.py"), "tests/a_tests.py": TEST},
        {WORKFLOW: workflow("run: pytest"), "tests/a_tests.py": TEST, "tests/test_b.py": "from a_tests import *\n"},
        {
            WORKFLOW: workflow("run: pytest"),
            "tests/a_tests.py": TEST,
            "tox.ini": "[pytest]\npython_files = *_tests.py\n",
        },
        {WORKFLOW: workflow("run: go test -tags slow ./..."), "a_test.go": "//go:build slow\n\npackage a\n"},
        {
            WORKFLOW: workflow("run: make"),
            **{f"tests/test_{n}.py": TEST for n in range(3)},
            "Makefile": "all:\n\ttox\n",
        },
        {WORKFLOW: "on: [push\njobs: {"},
        {WORKFLOW: "[" * 5000},
        {WORKFLOW: "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50)) + "jobs: *a\n"},
    ],
)
def test_a_near_miss_in_a_pipeline_is_left_alone(look: Looker, files: dict[str, str]) -> None:
    assert look(find_in_pipelines, files) == []


def test_a_command_is_quoted_where_it_begins(look: Looker) -> None:
    steps = "run: |\n    npm run a\n    npm \\\n      install"
    (found,) = look(find_in_pipelines, {WORKFLOW: workflow(steps), "package-lock.json": "{}"})
    assert found.evidence[0].quote.split() == ["npm", "\\"]
    steps = "run: |\n    npm run a\n    npm install"
    (found,) = look(find_in_pipelines, {WORKFLOW: workflow(steps), "package-lock.json": "{}"})
    assert found.evidence[0].quote.strip() == "npm install"


def test_systems_that_no_rule_knows_are_named(make_survey: Callable[..., object]) -> None:
    survey = make_survey({"Jenkinsfile": "node {}\n", "ci/Jenkinsfile.release": "node {}\n"})
    assert list(find_in_pipelines(survey)) == []  # type: ignore[arg-type]
    assert survey.gaps == ["No rule covers Jenkins: Jenkinsfile and 1 other file."]  # type: ignore[attr-defined]
