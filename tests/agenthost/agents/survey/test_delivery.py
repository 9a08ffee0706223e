from collections.abc import Callable

import pytest

from agenthost.agents.reading import recipes
from agenthost.agents.survey.delivery.lens import find_in_pipelines
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]
WORKFLOW, OTHER = ".github/workflows/ci.yml", ".github/workflows/other.yml"


def workflow(steps: str, *, job: str = "", on: str = "push", more: str = "") -> str:
    """Writes a workflow of one job; a line of `steps` that is indented goes on with a step."""
    listed = "".join(f"      {step}\n" if step.startswith(" ") else f"      - {step}\n" for step in steps.splitlines())
    return f"on: [{on}]\njobs:\n  main:\n    runs-on: ubuntu-latest\n{job}    steps:\n{listed}{more}"


MATRIX = "    strategy:\n      matrix:\n        os: [a, b]\n        include:\n          - extra: 1\n"
ONE_VALUE = "    strategy:\n      matrix:\n        os: [a]\n"
TESTS = "  tests:\n    runs-on: x\n    steps:\n      - run: make all\n"
TEST = "def test_a():\n    assert f()\n"
WRITES = "    permissions:\n      {}: write\n"
KEEPING_NOTHING = "uses: actions/checkout@v6\n  with: {persist-credentials: false}\nrun: a"
SHELLS = {"bin/a.sh": "a\n", "bin/b/c.sh": "c\n"}
TESTED = {"tests/test_a.py": TEST}
UNIT_TEST = "class A(TestCase):\n    def test_a(self):\n        self.f()\n"
PUBLISH = "run: twine upload dist/*"
PROGRAM = {"etc/tests/__main__.py": "from .a import *\n", "etc/tests/a.py": UNIT_TEST}


def grouped(group: str, on: str, *, cancel: str = "true") -> dict[str, str]:
    steps = "jobs:\n  main:\n    steps:\n      - run: a\n"
    return {WORKFLOW: f"on:\n{on}concurrency:\n  group: {group}\n  cancel-in-progress: {cancel}\n{steps}"}


def asked(run: str, inputs: str) -> dict[str, str]:
    head = f"on:\n  workflow_dispatch:\n    inputs:\n      {inputs}\n"
    return {WORKFLOW: f"{head}jobs:\n  main:\n    steps:\n      - run: {run}\n"}


ACTION = "inputs: {{a: {{}}}}\nruns:\n  using: composite\n  steps:\n    - run: {}\n"
SUMS = f"env:\n  SUM_A: {'a1' * 20}\n  SUM_B: {'b2' * 20}\n"
PUSH, PULL = "  push:\n", "  pull_request:\n"


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("undefined-reference", {WORKFLOW: workflow("if: matrix.offline\n  run: a", job=MATRIX)}),
        ("undefined-reference", {WORKFLOW: workflow("run: use ${{ steps.gone.outputs.x }}")}),
        ("undefined-reference", {WORKFLOW: workflow("run: use ${{ needs.tests.outputs.x }}", more=TESTS)}),
        (
            "undefined-reference",
            {WORKFLOW: workflow("run: use ${{ needs.tests.outputs.x }}", job="    needs: tests\n", more=TESTS)},
        ),
        ("undefined-reference", {WORKFLOW: workflow("run: use ${{ github.event.pull_request.head.sha }}")}),
        ("undefined-reference", {WORKFLOW: workflow("run: use ${{ github.event.push.ref }}")}),
        ("gap-in-name", {WORKFLOW: workflow("run: a\n  name: On ${{ matrix.node }}", job=MATRIX)}),
        ("gap-in-message", {WORKFLOW: workflow("run: echo ${{ matrix.node }}", job=MATRIX)}),
        ("gap-in-artifact", {WORKFLOW: workflow("uses: a\n  with:\n    name: on-${{ matrix.node }}", job=MATRIX)}),
        ("gap-in-copy", {WORKFLOW: workflow("run: a\n  env:\n    NODE: ${{ matrix.NODE }}", job=MATRIX)}),
        ("undefined-reference", {WORKFLOW: workflow("run: a\n  env:\n    VERSION: ${{ matrix.node }}", job=MATRIX)}),
        ("gap-in-key", {WORKFLOW: workflow("uses: a\n  with:\n    key: on-${{ matrix.node }}", job=MATRIX)}),
        (
            "undefined-reference",
            {WORKFLOW: workflow("run: use ${{ needs.tests.version }}", job="    needs: tests\n", more=TESTS)},
        ),
        ("unread-checksum", {WORKFLOW: SUMS + workflow("run: check $SUM_A")}),
        ("unread-input", asked("echo ${{ inputs.other }}", "other: {}\n      tag: {}")),
        ("unread-input", {WORKFLOW: workflow("run: a"), "act/action.yml": ACTION.format("true")}),
        ("undefined-reference", asked("echo ${{ github.event.inputs.tag || 1 }}", "confirm: {}")),
        ("undefined-reference", {WORKFLOW: workflow("id: b\n  run: use ${{ steps.b.output.x }}")}),
        ("never-in-matrix", {WORKFLOW: workflow("run: a\n  if: ${{ matrix.os == 'c' }}", job=MATRIX)}),
        ("never-in-matrix", {WORKFLOW: workflow("run: a\n  if: matrix.os != 'A'", job=ONE_VALUE)}),
        ("always-in-matrix", {WORKFLOW: workflow("run: a\n  if: matrix.os != 'c'", job=ONE_VALUE)}),
        ("unused-permission", {WORKFLOW: workflow("uses: actions/checkout@v6\nrun: a", job=WRITES.format("checks"))}),
        ("unused-permission", {WORKFLOW: workflow(KEEPING_NOTHING, job=WRITES.format("contents"))}),
        ("shallow-pattern", {WORKFLOW: workflow("run: shellcheck bin/**/*.sh"), **SHELLS}),
        ("shallow-pattern", {"package.json": '{"scripts": {\n  "lint": "shfmt -d bin/**/*.sh"\n}}\n', **SHELLS}),
        ("shallow-pattern", {"Makefile": "all: bin/**/*.sh\n\ttouch all\n", **SHELLS}),
        (
            "missing-input",
            {WORKFLOW: workflow("uses: actions/setup-java@v4\n  with: {java-version-file: .java-version}")},
        ),
        ("cancelled-by-others", grouped("ci-${{ github.head_ref }}", PUSH + PULL)),
        ("cancelled-by-others", grouped("publish-${{ github.event.push.ref }}", "  push:\n    tags: ['*']\n")),
        ("cancelled-by-others", grouped("tests", PULL)),
        ("cancelled-by-others", grouped("tests", "  push:\n    branches: [main, 'release/*']\n")),
        ("cancelled-by-others", grouped("${{ github.workflow }}", "  release:\n")),
        ("untested-release", {WORKFLOW: workflow(PUBLISH), **TESTED}),
        (
            "untested-release",
            {WORKFLOW: workflow("uses: pypa/gh-action-pypi-publish@release/v1", on="release"), **TESTED},
        ),
        (
            "untested-release",
            {WORKFLOW: workflow("run: make ship"), "Makefile": "ship: build\n\tcargo publish\n", **TESTED},
        ),
        (
            "untested-release",
            {
                WORKFLOW: workflow("run: npm ci\nrun: yarn ship"),
                "a/package.json": '{"scripts": {"ship": "npm publish"}}',
                **TESTED,
            },
        ),
        ("untested-image", {WORKFLOW: workflow("run: docker build .\nrun: docker push a/b"), **TESTED}),
        ("uncollected-tests", {WORKFLOW: workflow("run: pytest"), "tests/a_tests.py": TEST}),
        ("uncollected-tests", {WORKFLOW: workflow("run: python -m etc.tests"), **PROGRAM, "etc/tests/b.py": UNIT_TEST}),
    ],
)
def test_a_pipeline_that_lets_faults_through_is_found(look: Looker, rule: str, files: dict[str, str]) -> None:
    (found,) = look(find_in_pipelines, files)
    assert found.rule == f"lens:{rule}"


@pytest.mark.parametrize(
    "files",
    [
        grouped("cr-${{ github.event.number }}", "  push:\n    branches: [main]\n    tags: ['!**']\n" + PULL),
        {WORKFLOW: workflow("if: matrix.os == 'a'\n  run: echo ${{ matrix.extra }} matrix.none", job=MATRIX)},
        {
            WORKFLOW: workflow(
                "id: b\n  run: echo ${{ needs.tests.result }} ${{ steps.b.outcome }}",
                job="    needs: tests\n",
                more=TESTS,
            )
        },
        {WORKFLOW: workflow("uses: actions/checkout@v6\nrun: a", job=WRITES.format("contents"))},  # which may push
        {WORKFLOW: workflow("uses: own/reports@v1", job=WRITES.format("checks"))},
        {WORKFLOW: workflow("uses: actions/checkout@v6\nrun: gh pr merge", job=WRITES.format("checks"))},
        {WORKFLOW: workflow("run: shellcheck 'bin/**/*.sh'"), **SHELLS},
        {WORKFLOW: workflow("run: shellcheck bin/*.sh bin/**/*.sh"), **SHELLS},
        {WORKFLOW: workflow("run: |\n    shopt -s globstar\n    shellcheck bin/**/*.sh"), **SHELLS},
        {WORKFLOW: workflow("run: shellcheck lib/**/*.sh"), **SHELLS},  # the program gets the pattern
        {WORKFLOW: workflow("run: a bin/**/*.sh\n  working-directory: b"), **SHELLS},
        {WORKFLOW: workflow("run: a bin/**/*.sh\n  shell: pwsh"), **SHELLS},
        {
            "package.json": '{"scripts": {\n  "lint": "shfmt -d bin/**/*.sh"\n}}\n',
            "pnpm-workspace.yaml": "shellEmulator: true\n",
            **SHELLS,
        },
        {WORKFLOW: workflow("run: echo ${{ matrix.any }}", job="    strategy:\n      matrix: ${{ fromJSON(x) }}\n")},
        {WORKFLOW: workflow("id: own\n  run: a\nrun: echo ${{ steps.own.outputs.x }} # ${{ steps.* }}")},
        {WORKFLOW: SUMS + workflow("run: check $SUM_A $SUM_B")},
        {WORKFLOW: SUMS + workflow("run: ./check")},  # a script may read them
        {WORKFLOW: workflow(f"run: pytest\n{PUBLISH}"), **TESTED},
        {WORKFLOW: workflow(PUBLISH)},  # there are no tests
        {WORKFLOW: workflow(PUBLISH), OTHER: workflow("run: a", more=TESTS), **TESTED},
        {WORKFLOW: workflow(PUBLISH, more="  checked:\n    uses: a/b/.github/workflows/c.yml@main\n"), **TESTED},
        {
            WORKFLOW: workflow(f"run: make all\n{PUBLISH}"),
            "Makefile": "all: check\ncheck:\n\tpython -m unittest\n",
            **TESTED,
        },
        {WORKFLOW: workflow("run: a\n  if: matrix.os == 'A' && matrix.extra == '2'", job=MATRIX)},
        {WORKFLOW: workflow("run: a\n  if: matrix.os == 'c' || github.ref == 'x'", job=MATRIX)},
        {WORKFLOW: workflow("run: a\n  if: matrix.os == 'c'", job=MATRIX.replace("b]", "b] # c"))},
        {WORKFLOW: workflow("run: a\n  if: matrix.os != 'c'", job=MATRIX)},
        {WORKFLOW: workflow("run: a\n  if: matrix.os != 'c' || always()", job=ONE_VALUE)},
        {WORKFLOW: workflow(PUBLISH, on="workflow_dispatch"), **TESTED},
        {WORKFLOW: workflow("uses: softprops/action-gh-release@v3\n  with: {draft: true, files: a}"), **TESTED},
        {WORKFLOW: workflow("run: twine upload --repository testpypi dist/*"), **TESTED},
        {WORKFLOW: workflow("run: ./gradlew publish"), **TESTED},  # from a branch: a snapshot
        {
            WORKFLOW: workflow(
                "uses: goreleaser/goreleaser-action@v6\n  with: {args: release --snapshot --skip publish}"
            ),
            **TESTED,
        },
        {WORKFLOW: workflow(PUBLISH, job="    environment: release\n"), **TESTED},  # a person lets it go on
        {WORKFLOW: workflow("run: pytest"), "tests/typing/a.py": TEST},
        {WORKFLOW: workflow("run: pytest"), "src/a/tests.py": TEST, "tests/input/a/b.py": TEST},
        {WORKFLOW: workflow("run: make"), "pyproject.toml": "[tool.pytest.ini_options]\n", "tests/a_tests.py": TEST},
        {WORKFLOW: workflow("run: python -m etc.tests"), **PROGRAM},
        {WORKFLOW: workflow("run: a", job="    name: On ${{ matrix.os }}\n" + MATRIX)},
        {WORKFLOW: workflow("run: echo ${{ matrix.os || 'x' }}")},
        {WORKFLOW: workflow("run: echo ${{ github.event.pull_request.number || github.ref }}")},
        {WORKFLOW: workflow("run: echo ${{ github.event.issue.title }}", on="issue_comment")},
        {WORKFLOW: workflow("run: echo ${{ github.event.release.tag_name }}", on="workflow_call")},
        asked("a ${{ inputs.TAG }} ${{ github.event.inputs['b'] }}", "tag: {}\n      b: {}\n      reason: {}"),
        asked("a '${{ toJSON(inputs) }}'", "tag: {}"),
        {WORKFLOW: workflow("run: a"), "act/action.yml": ACTION.format("b ${{ inputs.a }}")},
        grouped("ci-${{ github.head_ref || github.ref }}", PUSH + PULL),
        grouped("ci-${{ github.ref }}", PUSH + PULL),
        grouped("ci-${{ github.head_ref }}", PULL),
        grouped("ci", PUSH + PULL, cancel="false"),
        grouped("ci", "  push:\n    branches: [main]\n"),
        grouped("ci", "  schedule:\n  workflow_dispatch:\n"),
        {WORKFLOW: workflow(f"run: mvn install\n{PUBLISH}"), **TESTED},
        {WORKFLOW: workflow("run: pytest && pytest tests/a_tests.py"), "tests/a_tests.py": TEST},
        {WORKFLOW: workflow("run: pytest"), "tests/a_tests.py": TEST, "tests/test_b.py": "from a_tests import *\n"},
        {
            WORKFLOW: workflow("run: pytest"),
            "tests/a_tests.py": TEST,
            "tox.ini": "[pytest]\npython_files = *_tests.py\n",
        },
        {WORKFLOW: "on: [push\njobs: {"},
        {WORKFLOW: "[" * 5000},
        {WORKFLOW: "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50)) + "jobs: *a\n"},
    ],
)
def test_a_near_miss_in_a_pipeline_is_left_alone(look: Looker, files: dict[str, str]) -> None:
    assert look(find_in_pipelines, files) == []


@pytest.mark.parametrize(
    ("script", "quote"),
    [
        ("run: |\n    build\n    twine \\\n      upload", "twine \\"),
        ("run: |\n    # twine upload\n    twine upload dist/*", "twine upload dist/*"),
        ("run: >-\n    build &&\n    twine upload", "build &&"),
    ],
)
def test_a_command_is_quoted_where_it_begins(look: Looker, script: str, quote: str) -> None:
    (found,) = look(find_in_pipelines, {WORKFLOW: workflow(script), **TESTED})
    assert found.evidence[0].quote.strip() == quote


def test_a_command_that_is_not_followed_any_more_counts_as_itself(
    look: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "MAX_EXPANDED", 0)
    action = "uses: pypa/gh-action-pypi-publish@release/v1"
    assert look(find_in_pipelines, {WORKFLOW: workflow(f"run: pytest\n{action}")}) == []


def test_systems_that_no_rule_knows_are_named(make_survey: Callable[..., object]) -> None:
    files = dict.fromkeys(("Jenkinsfile", "ci/Jenkinsfile.release", ".gitlab-ci.yml"), "x\n")
    survey = make_survey(files)
    assert list(find_in_pipelines(survey)) == []  # type: ignore[arg-type]
    assert survey.gaps == [
        "No rule covers GitLab CI: .gitlab-ci.yml.",
        "No rule covers Jenkins: Jenkinsfile and 1 other file.",
    ]  # type: ignore[attr-defined]
