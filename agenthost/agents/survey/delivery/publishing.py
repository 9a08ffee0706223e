"""Finds workflows that publish where no workflow runs the tests: nothing stands between a broken commit and its users.

A release of a branch that another workflow tests is the maintainers' choice. A workflow that only people start, or that follows
another one, is not judged, nor a job that an environment guards. "May test" is read generously.
"""

import re
from collections.abc import Iterable, Iterator

from ...reading.recipes import Recipes, may_test, simple
from ...reading.workflows import Step, Workflow
from ...reading.yaml_tree import child, line
from ..finding import Finding, cite, sighting

PACKAGE = "lens:untested-release"
IMAGE = "lens:untested-image"
_PACKAGE_ACTIONS = re.compile(
    r"^(pypa/gh-action-pypi-publish|JS-DevTools/npm-publish|katyo/publish-crates|goreleaser/goreleaser-action)@",
    re.IGNORECASE,
)
# These make a page of notes; it is a release where they put files on it.
_PAGE_ACTIONS = re.compile(r"^(softprops/action-gh-release|svenstaro/upload-release-action|ncipollo/release-action)@")
_PACKAGE_COMMANDS = re.compile(
    r"(?:^|[\"'`(])(?:(?:python3? -m )?twine upload|(?:npm|pnpm|yarn|yarn npm|lerna|cargo|poetry|flit|uv|hatch|pdm|bun) publish"
    r"|gem push|goreleaser release|semantic-release|dotnet nuget push|(?:mvn|\./mvnw)\b.* deploy\b|vsce publish"
    r"|(?:\./)?gradlew?\b.* publish(?!ToMavenLocal)\w*)"
    r"(?!.*(?:--dry-run|testpypi))"
)
_IMAGE_COMMANDS = re.compile(r"^docker (?:image )?push\b|^docker (?:buildx )?build\b.*\s--push\b")
_STARTS = frozenset({"push", "release", "create"})


def run_tests(workflows: Iterable[Workflow], recipes: Recipes) -> bool:
    """Tells whether a job may run tests: by its name, by what it runs, or in a workflow of another repository."""
    jobs = [job for workflow in workflows for job in workflow.jobs]
    return any(job.uses and not job.uses.startswith("./") for job in jobs) or any(
        may_test([job.name, *recipes.of_job(job)]) for job in jobs
    )


def find_untested_releases(workflow: Workflow, recipes: Recipes) -> Iterator[Finding]:
    """Yields the first publishing step of each job. The caller knows that no workflow runs tests."""
    if not _STARTS & workflow.triggers or "workflow_run" in workflow.triggers:
        return
    for job in workflow.jobs:
        for step in job.steps if child(job.node, "environment") is None else ():
            rule, where, what = _published(step, recipes)
            if rule and not _is_snapshot(workflow, step, what):
                title = f"job `{job.name}` runs `{what}`, and no job of any workflow runs tests"
                yield sighting(rule, cite(workflow.source, where), title)
                break


def _published(step: Step, recipes: Recipes) -> tuple[str, int, str]:
    action, first = step.uses.partition("@")[0], line(child(step.node, "uses") or step.node)
    is_trial = "test.pypi" in step.setting("repository-url", "repository_url")
    # A person publishes a draft.
    is_draft = step.setting("draft") == "true"
    has_files = _PAGE_ACTIONS.match(step.uses) and step.setting("files", "file", "artifacts") and not is_draft
    if (_PACKAGE_ACTIONS.match(step.uses) and not is_trial) or has_files:
        return PACKAGE, first, action
    pushes = step.setting("push") == "true" or "push=true" in step.setting("outputs")
    if step.uses.startswith("docker/build-push-action@") and pushes:
        return IMAGE, first, action
    for command in step.commands:
        for part in recipes.expand([command.text]):
            rule = PACKAGE if _PACKAGE_COMMANDS.search(part) else IMAGE if _IMAGE_COMMANDS.match(part) else ""
            if rule:
                return rule, command.line, next(simple(command.text), command.text)[:80]
    return "", 0, ""


def _is_snapshot(workflow: Workflow, step: Step, what: str) -> bool:
    """Returns whether nothing is released: by the step's own word, or since a build for the JVM runs on a branch, as -SNAPSHOT."""
    if "goreleaser" in step.uses and re.search(r"--snapshot\b|--skip[= ]?\S*publish", step.setting("args")):
        return True
    is_released = "release" in workflow.triggers or re.search(r"^\s+tags\s*:", workflow.source.text, re.MULTILINE)
    return not is_released and bool(re.search(r"\b(gradlew?|mvnw?)\b", what))
