"""A second look at permissions of workflows: they are told once, and by what the jobs do with them."""

import pytest

from agenthost.agents.analyzer.doubts import kind_of, why_not
from agenthost.agents.analyzer.results import Result

JOB = "  {}:\n    steps:\n      - run: a {}\n"
UNSET = "overly broad permissions: default permissions used due to no permissions: block"


def permissions(content: str, line: int, message: str = UNSET) -> str:
    """Returns by which rule a result about permissions is told; nothing where another result says it."""
    rule, told = "excessive-permissions", content.encode()
    result = Result(rule, "", message, ".github/workflows/a.yml", line)
    return "" if why_not(rule, result, told) else kind_of(rule, result, told)


def test_a_workflow_without_permissions_is_told_once() -> None:
    two = f"on: push\njobs:\n{JOB.format('a', '')}{JOB.format('b', '')}"
    assert [permissions(two, line) for line in (1, 3, 6)] == ["excessive-permissions/unset", "", ""]
    called = two.replace("on: push", "on: [workflow_call]")
    assert [permissions(called, line) for line in (3, 6)] == ["excessive-permissions/unset", ""]
    one = f"on: push\njobs:\n{JOB.format('a', '')}"
    assert permissions(one, 3) == "excessive-permissions/unset"
    half = f"{one}  b:\n    permissions: {{}}\n    steps:\n      - run: a\n"
    assert [permissions(half, line) for line in (1, 3)] == ["excessive-permissions/unset", ""]


def test_permissions_to_read_everything_are_not_told() -> None:
    content = "on: push\npermissions: read-all\njobs:\n"
    assert permissions(content, 2, "overly broad permissions: uses read-all permissions") == ""
    assert permissions(content, 2, "overly broad permissions: uses write-all permissions") == "excessive-permissions"


def test_permissions_that_are_given_to_all_jobs_and_jobs_with_a_token_of_their_own_are_told_apart() -> None:
    own = f"on: push\njobs:\n{JOB.format('a', '${{ secrets.WINGET }}')}"
    assert permissions(own, 3) == "excessive-permissions/own-token"
    assert permissions(own.replace("WINGET", "GITHUB_TOKEN"), 3) == "excessive-permissions/unset"
    called = (
        "on: push\njobs:\n  a:\n    uses: b/c/.github/workflows/d.yml@v1\n    secrets:\n      t: ${{ secrets.T }}\n"
    )
    assert permissions(called, 3) == "excessive-permissions/unset"


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        (["uses: actions/checkout@v6", "run: gh release create a"], True),
        (["run: make", "run: cargo build --release", "uses: own/release@v1"], True),
        (["run: make"], False),
        (["run: gh release create a", "uses: own/release@v1"], False),
        (["uses: own/release@v1", "run: make publish", "run: make"], False),
    ],
)
def test_a_permission_for_all_jobs_is_told_where_half_of_them_do_not_need_it(jobs: list[str], told: bool) -> None:  # noqa: FBT001 - a table
    steps = "".join(f"  job{number}:\n    steps:\n      - {step}\n" for number, step in enumerate(jobs))
    content = f"on: push\npermissions:\n  contents: write\njobs:\n{steps}"
    wide = "overly broad permissions: contents: write is overly broad at the workflow level"
    assert permissions(content, 3, wide) == ("excessive-permissions" if told else "")
