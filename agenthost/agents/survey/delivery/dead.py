"""Finds jobs and steps that never run: their conditions are false for every event that starts the workflow."""

import re
from collections.abc import Iterator

from ...reading.yaml_tree import child, entries, texts
from ..finding import Finding, cite, sighting
from .pipelines import Pipeline

DEAD = "lens:dead-job"
_EVENT = re.compile(r"^github\.event_name == '(?P<event>\w+)'$")
_BRANCH = re.compile(r"^github\.ref(?:_name)? == '(?:refs/heads/)?(?P<branch>[\w./-]+)'$")
_TAG = re.compile(r"^startsWith\(\s*github\.ref\s*,\s*'refs/tags|^github\.ref_type == 'tag'$")
_GLOB = re.compile(r"[*?+!\[]")


def find_dead(pipeline: Pipeline) -> Iterator[Finding]:
    """Yields each job and step whose condition no trigger of its workflow can make true."""
    if pipeline.system != "GitHub":
        return
    for job in pipeline.jobs:
        parts = [(f"job `{job.name}`", job.node), *((f"a step of job `{job.name}`", step.node) for step in job.steps)]
        for what, node in parts:
            for key, number, value in entries(node):
                reason = _never(pipeline, _bare(texts(value))) if key == "if" else ""
                if reason:
                    place = cite(pipeline.source, number)
                    yield sighting(DEAD, place, f"{what} never runs: {reason}")
        for name in job.needs:
            if pipeline.job(name) is None and "${{" not in name:
                place = cite(pipeline.source, job.line)
                yield sighting(DEAD, place, f"job `{job.name}` needs `{name}`, and there is no such job")


def _bare(condition: list[str]) -> str:
    text = " ".join(" ".join(condition).split())
    match = re.fullmatch(r"\$\{\{(.*)\}\}", text)
    return (match[1] if match and "${{" not in match[1] else text).strip()


def _never(pipeline: Pipeline, condition: str) -> str:
    """Returns why a condition is never true; empty where it may be."""
    if "||" in condition or "!(" in condition:
        return ""
    for part in (item.strip() for item in condition.split("&&")):
        if part == "false":
            return "its condition is `false`"
        if (match := _EVENT.match(part)) and not {match["event"], "workflow_call"} & pipeline.triggers:
            return f"the workflow is not started by `{match['event']}`"
        if (match := _BRANCH.match(part)) and _excludes(pipeline, match["branch"]):
            return f"the workflow is not started on `{match['branch']}`"
        if _TAG.match(part) and _excludes_tags(pipeline):
            return "the workflow is not started by tags"
    return ""


def _excludes(pipeline: Pipeline, branch: str) -> bool:
    """Tells whether pushes alone start the workflow, on named branches, and this one is none of them."""
    branches = texts(child(pipeline.root, "on", "push", "branches"))
    only_pushes = pipeline.triggers <= {"push", "pull_request"} and "push" in pipeline.triggers
    return only_pushes and bool(branches) and branch not in branches and not any(map(_GLOB.search, branches))


def _excludes_tags(pipeline: Pipeline) -> bool:
    push = child(pipeline.root, "on", "push")
    only_pushes = pipeline.triggers <= {"push", "pull_request"} and "push" in pipeline.triggers
    named = {key for key, _, _ in entries(push)}
    return only_pushes and "branches" in named and not {"tags", "tags-ignore"} & named
