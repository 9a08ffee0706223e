"""Tells checks that cannot fail apart: a linter or a type checker lets through less than tests do, and some say why they may."""

import re
from collections.abc import Callable, Mapping

from ...reading.snapshot import SourceText
from ...reading.workflows import read_workflow
from ...reading.yaml_tree import is_available, last_line, line
from ..results import Result

LINT, TYPES = "lint", "types"
_FORGIVEN = re.compile(r"\|\|\s*(?:true|:|exit 0)\s*$")
_KIND = re.compile(
    r"\b(?:(?P<linter>flake8|ruff|black|isort|pylint|bandit|go vet|staticcheck|cargo (?:clippy|fmt)|eslint|biome"
    r"|stylelint|prettier|phpstan|psalm|rubocop|shellcheck|hadolint|clang-tidy|\w*[lL]int\w*)"
    r"|(?P<types>mypy|pyright|(?:vue-)?tsc|type-?check\w*)"
    r"|(?P<tests>(?:tox|nox)(?!.*\s-[es]\s*\S*(?:lint|mypy|flake8|typ))|\w*[tT]est\w*|check|jest|mocha|rspec|phpunit|verify))\b"
)


_REASON = re.compile(r"(?:continue-on-error:\s*true|\|\|\s*(?:true|:|exit 0))\s*#\s*\w+\W+\w+")
_COMMENT = re.compile(r"\s*#\s*\w+\W+\w+")


def why_not(result: Result, content: bytes) -> str:
    """Returns that a comment gives the reason, behind what forgives the failure, or above it."""
    lines = content.decode(errors="replace").split("\n")[max(result.start_line - 2, 0) : result.end_line]
    forgiving = [at for at, line in enumerate(lines) if "continue-on-error" in line or _FORGIVEN.search(line)]
    is_above = any(at and _COMMENT.match(lines[at - 1]) for at in forgiving)
    return "say why they may fail" if is_above or any(map(_REASON.search, lines)) else ""


def kind_of(result: Result, content: bytes) -> str:
    """Returns "types" or "lint" where no check that cannot fail is one of tests."""
    source = content.decode(errors="replace")
    lines = tuple(source.split("\n"))
    if "issues-exit-code" in "\n".join(lines[max(result.start_line, 1) - 1 : result.end_line]):
        return LINT
    workflow = read_workflow(SourceText(result.path, source, lines)) if is_available() else None
    jobs = [job for job in workflow.jobs if job.line <= result.start_line] if workflow else []
    steps = [step for job in jobs[-1:] for step in job.steps]
    here = [step for step in steps if line(step.node) <= result.start_line <= last_line(step.node)]
    commands = [command.text for step in here or steps for command in step.commands]
    forgiven = [command for command in commands if _FORGIVEN.search(command)] if here else []
    kinds = {match.lastgroup for command in forgiven or commands if (match := _KIND.search(command))}
    if kinds == {TYPES}:
        return TYPES
    return LINT if kinds and kinds <= {"linter", TYPES} else ""


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {"workflow-check-cannot-fail": why_not}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {"workflow-check-cannot-fail": kind_of}
