"""Finds checks in pipelines whose failure stops nothing: tolerated by the job, the command or the tool's own settings.

A check that runs elsewhere and may fail there is left alone, as is a job that is an experiment by its name.
"""

import re
from collections.abc import Iterator

from ...reading.yaml_tree import child, entries, text
from ..finding import Finding, cite, sighting
from ..survey import Survey
from .commands import Recipes, simple
from .pipelines import Command, Job, Pipeline, Step

UNFAILING = "lens:unfailing-check"
# Checks that CI runs, by the words that begin their commands.
CHECK = re.compile(
    r"^(?:python3? -m )?(?P<tool>pytest|py\.test|unittest|tox|nox|flake8|ruff check|ruff|mypy|pyright|pylint|bandit|black"
    r"|isort|go test|go vet|golangci-lint|staticcheck|cargo test|cargo nextest|cargo clippy|cargo fmt|jest|vitest|mocha"
    r"|eslint|tsc|vue-tsc|stylelint|prettier|svelte-check|phpunit|phpstan|psalm|rspec|rubocop|shellcheck|hadolint|clang-tidy"
    r"|cppcheck|ctest|dotnet test|(?:npm|yarn|pnpm)(?: run)? (?:test|lint|typecheck)[\w:-]*|make (?:test|check|lint)[\w-]*"
    r"|(?:\./)?gradlew?\b.*?\b(?:test|lint|check)\w*|(?:mvn|\./mvnw)\b.*?\b(?:test|verify))\b"
)
_EXPERIMENT = re.compile(
    r"nightly|experimental|beta|canary|allow|preview|\bdev\b|informational|advisory|optional", re.IGNORECASE
)
_SWALLOWED = re.compile(
    r"\|\|\s*(?:true|:|exit 0|echo\b[^|&]*)\s*$|--exit-zero\b|--issues-exit-code[= ]0\b"
    r"|-Dmaven\.test\.failure\.ignore(?:=true)?"
)
_GRADLE = re.compile(r"\.gradle(\.kts)?$")
_SETTINGS = (
    (_GRADLE, re.compile(r"^\s*abortOnError\s*=?\s*\(?false"), "Gradle's lint", r"\b(lint\w*|check|build)\b"),
    (_GRADLE, re.compile(r"^\s*ignoreFailures\s*=?\s*\(?true"), "a check of Gradle", r"\bgradlew?\b"),
    (re.compile(r"(^|/)pom\.xml$"), re.compile(r"^\s*<testFailureIgnore>\s*true"), "Maven's tests", r"\bmvnw?\b"),
)


def check_tools(lines: list[str]) -> set[str]:
    """Returns the names of the checks among commands."""
    return {match["tool"] for line in lines if (match := CHECK.match(line))}


def find_unfailing(pipelines: list[Pipeline], recipes: Recipes) -> Iterator[Finding]:
    """Yields each tolerated check that runs nowhere else."""
    tolerated: list[tuple[str, Finding]] = []
    strict: set[str] = set()
    for pipeline in pipelines:
        for job in pipeline.jobs:
            for step in job.steps:
                for command in step.commands:
                    number, why = _tolerance(job, step, command)
                    if not why:
                        strict |= check_tools(recipes.expand([command.text], step.folder))
                        continue
                    place = cite(pipeline.source, number)
                    tolerated += [
                        (
                            match["tool"],
                            sighting(UNFAILING, place, f"`{match['tool']}` in job `{job.name}` cannot fail: {why}"),
                        )
                        for part in simple(command.text)
                        if (match := CHECK.match(part))
                    ]
    yield from (sighting for tool, sighting in tolerated if tool not in strict)


def find_lenient_settings(survey: Survey, lines: list[str]) -> Iterator[Finding]:
    """Yields the settings of build tools that let checks pass which CI runs."""
    built = "\n".join(line for line in lines if re.search(r"\bgradlew?\b|\bmvnw?\b", line))
    for path in survey.snapshot.paths if built else ():
        for name, pattern, check, command in _SETTINGS:
            source = survey.snapshot.read(path) if name.search(path) and re.search(command, built) else None
            for number, line in enumerate(source.lines if source else (), 1):
                if source and pattern.match(line):
                    detail = f"`{line.strip()}` lets {check}, which CI runs, pass with errors"
                    yield sighting(UNFAILING, cite(source, number), detail)


def _tolerance(job: Job, step: Step, command: Command) -> tuple[int, str]:
    """Returns the line and the reason why a command's failure does not matter; nothing where it does."""
    if _EXPERIMENT.search(f"{job.name} {text(child(job.node, 'name'))} {text(child(step.node, 'name'))}"):
        return command.line, ""
    if _SWALLOWED.search(command.text):
        return command.line, "its result is dropped"
    for node in (step.node, job.node):
        for key, number, value in entries(node):
            if key in {"continue-on-error", "allow_failure"} and text(value) == "true":
                return number, f"`{key}: true`"
    return command.line, ""
