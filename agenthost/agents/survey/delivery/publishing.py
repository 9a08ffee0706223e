"""Finds workflows that publish without running tests first: nothing stands between a broken commit and its users.

A workflow that only people start, or that follows another one, is not judged. "May test" is read generously.
"""

import re
from collections.abc import Iterator

from ...reading.yaml_tree import child, line
from ..finding import Finding, cite, sighting
from .commands import Recipes, may_test, simple
from .pipelines import Job, Pipeline, Step

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
    r"(?!.*--dry-run)"
)
_IMAGE_COMMANDS = re.compile(r"^docker (?:image )?push\b|^docker (?:buildx )?build\b.*\s--push\b")
_STARTS = frozenset({"push", "release", "create"})


def find_untested_releases(pipeline: Pipeline, recipes: Recipes) -> Iterator[Finding]:
    """Yields the first publishing step of each job that nothing tested before."""
    if pipeline.system != "GitHub" or not _STARTS & pipeline.triggers or "workflow_run" in pipeline.triggers:
        return
    for job in pipeline.jobs:
        for number, step in enumerate(job.steps):
            rule, where, what = _publishes(step, recipes)
            if not rule or _is_snapshot(pipeline, step, what):
                continue
            before = [text for earlier in job.steps[: number + 1] for text in recipes.of_step(earlier)]
            if not may_test([*before, *_needed(pipeline, job, recipes)]):
                place = cite(pipeline.source, where)
                yield sighting(
                    rule, place, f"job `{job.name}` runs `{what}`, and neither it nor a job that it needs runs tests"
                )
            break


def _publishes(step: Step, recipes: Recipes) -> tuple[str, int, str]:
    action = step.uses.partition("@")[0]
    first = line(child(step.node, "uses") or step.node)
    if _PACKAGE_ACTIONS.match(step.uses) and "test.pypi" not in step.setting("repository-url") + step.setting(
        "repository_url"
    ):
        return PACKAGE, first, action
    if _PAGE_ACTIONS.match(step.uses) and any(map(step.setting, ("files", "file", "artifacts"))):
        return PACKAGE, first, action
    pushes = step.setting("push") == "true" or "push=true" in step.setting("outputs")
    if step.uses.startswith("docker/build-push-action@") and pushes:
        return IMAGE, first, action
    for command in step.commands:
        for part in recipes.expand([command.text], step.folder):
            if _PACKAGE_COMMANDS.search(part) and "testpypi" not in part:
                return PACKAGE, command.line, next(simple(command.text), command.text)[:80]
            if _IMAGE_COMMANDS.match(part):
                return IMAGE, command.line, next(simple(command.text), command.text)[:80]
    return "", 0, ""


def _is_snapshot(pipeline: Pipeline, step: Step, what: str) -> bool:
    """Returns whether nothing is released: by the step's own word, or since a build for the JVM runs on a branch, as -SNAPSHOT."""
    if "goreleaser" in step.uses and re.search(r"--snapshot\b|--skip[= ]?\S*publish", step.setting("args")):
        return True
    is_released = "release" in pipeline.triggers or re.search(r"^\s+tags\s*:", pipeline.source.text, re.MULTILINE)
    return not is_released and bool(re.search(r"\b(gradlew?|mvnw?)\b", what))


def _needed(pipeline: Pipeline, job: Job, recipes: Recipes) -> list[str]:
    """Returns what the jobs run that must succeed before this one, and their names."""
    found: list[str] = []
    waiting, seen = list(job.needs), set[str]()
    while waiting:
        name = waiting.pop()
        needed = pipeline.job(name)
        if needed is not None and name not in seen:
            seen.add(name)
            found += [name, *recipes.of_job(needed)]
            waiting += needed.needs
    return found
