"""A second look at results of scripts and of checks in workflows: what does wrong for certain, and what is less grave."""

import pytest

from agenthost.agents.analyzer.doubts import kind_of, why_not
from agenthost.agents.analyzer.results import Result


@pytest.mark.processes
@pytest.mark.parametrize(
    ("rule", "path", "line", "text", "kind"),
    [
        ("SC1072", "a.sh", 2, "#!/bin/sh\necho 'one that's broken <a>'\n", "refused"),
        ("SC1072", "a.sh", 2, "#!/bin/sh\n[ a -a \\( b \\) ]\n", ""),
        ("SC1072", "a.sh", 2, "#!/bin/zsh\necho 'one that's broken <a>'\n", ""),
        ("SC1072", "a.sh", 2, "echo 'one that's broken <a>'\n", ""),
        ("SC1072", "a.sh", 2, "#!/bin/sh\nif {{ a }}; then 'b\n", ""),
        ("SC2048", "a.sh", 1, "$TCLSH tests/run.tcl $*\n", "handed-on"),
        ("SC2048", "a.sh", 1, "  log $*\n", ""),
        ("SC2068", "a.sh", 1, "exec java -jar a.jar ${@}\n", "handed-on"),
        ("SC2068", "a.sh", 1, "for one in $@\n", ""),
        ("SC2068", "a.sh", 1, "echo $@\n", ""),
        ("SC2164", "a.sh", 2, '\ncd "$name"\nrm -rf *\n', "changes-files"),
        ("SC2164", "a.sh", 2, "\ncd build\n\nchmod +x $ENTRY\n", "changes-files"),
        ("SC2164", "a.sh", 2, "mkdir -p build\ncd build\nrm -rf *\n", ""),
        ("SC2164", "a.sh", 2, "\ncd build\nmake\n", ""),
        ("SC2164", "a.sh", 2, '\ncd "$(dirname "$0")"\nrm -rf *\n', ""),
        ("SC3040", "scripts/a.sh", 2, "#!/bin/sh\nset -o pipefail\n", "by-developers"),
        ("SC3040", "scripts/a.sh", 3, "#!/bin/sh\napk add a\nset -o pipefail\n", ""),
        ("SC3040", "scripts/a.sh", 2, "#!/bin/bash\nset -o pipefail\n", ""),
        ("SC3040", "docker/entry.sh", 2, "#!/bin/sh\nset -o pipefail\n", ""),
    ],
)
def test_what_a_script_does_wrong_for_certain_has_a_rule_of_its_own(
    rule: str, path: str, line: int, text: str, kind: str
) -> None:
    told = kind_of(rule, Result(rule, "", "", path, line), text.encode())
    assert told == (f"{rule}/{kind}" if kind else rule)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("run: mypy src tests || true", "/types"),
        ("run: |\n          mypy src || true\n          ruff check || true", "/lint"),
        ("run: |\n          pytest\n          npm run lint || true", "/lint"),
        ("continue-on-error: true\n        run: npx eslint . test", "/lint"),
        ("run: ./gradlew lintDebug || true", "/lint"),
        ("run: tox -e mypy || true", "/types"),
        ("with: {args: --issues-exit-code=0}", "/lint"),
        ("run: pytest || true", ""),
        ("run: |\n          mypy src || true\n          pytest || true", ""),
        ("continue-on-error: true\n        run: make check", ""),
        ("run: tox || true", ""),
    ],
)
def test_a_linter_or_a_type_checker_that_cannot_fail_is_less_grave_than_tests(step: str, kind: str) -> None:
    rule = "workflow-check-cannot-fail"
    text = f"on: push\njobs:\n  a:\n    steps:\n      - {step}\n      - run: make test\n"
    assert kind_of(rule, Result(rule, "", "", ".github/workflows/a.yml", 5, 5), text.encode()) == f"{rule}{kind}"


@pytest.mark.parametrize(
    ("step", "left_out"),
    [
        ("continue-on-error: true  # the machine is down\n        run: make check", True),
        ("run: pytest || true  # known to fail, see 12", True),
        ("name: a\n        # flaky since May\n        continue-on-error: true", True),
        ("continue-on-error: true\n        run: make check  # all of it", False),
        ("run: pytest || true", False),
    ],
)
def test_a_check_that_may_fail_for_a_reason_is_not_told(step: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    rule = "workflow-check-cannot-fail"
    text = f"on: push\njobs:\n  a:\n    steps:\n      - {step}\n"
    last = text.count("\n")
    assert bool(why_not(rule, Result(rule, "", "", ".github/workflows/a.yml", 5, last), text.encode())) is left_out


@pytest.mark.parametrize("rule", ["workflow-secret-in-script", "workflow-input-in-script"])
def test_a_job_that_is_called_run_is_no_script(rule: str) -> None:
    job = b"jobs:\n  run:\n    steps:\n      - uses: a/b@v1\n        with:\n          key: ${{ secrets.KEY }}\n"
    assert why_not(rule, Result(rule, "", "", ".github/workflows/a.yml", 2, 6), job)
    script = b"jobs:\n  a:\n    steps:\n      - run: a ${{ secrets.KEY }} ${{ inputs.b }}\n"
    assert not why_not(rule, Result(rule, "", "", ".github/workflows/a.yml", 4, 4), script)


@pytest.mark.parametrize(("name", "left_out"), [("lr.f", True), ("reader->file", True), ("f", False)])
def test_a_file_that_is_kept_in_an_object_is_no_leak(name: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    leak = Result("resourceLeak", "", f"Resource leak: {name}", "a.c", 1)
    assert bool(why_not("resourceLeak", leak, b"return lr;\n")) is left_out
