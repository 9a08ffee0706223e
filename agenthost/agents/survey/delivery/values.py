"""Finds values in workflows that ask for something else than they say: runners that are gone, and versions that YAML cuts."""

import re
from collections.abc import Iterator

from ...reading.yaml_tree import Node, child, entries, is_plain, items, line, text
from ..finding import Severity, cite
from ..sighting import Rule, Sighting
from .pipelines import Job, Pipeline

RUNNER = Rule(
    "lens:retired-runner",
    Severity.MEDIUM,
    "A job asks for a runner that GitHub has removed",
    "{count} jobs ask for runners that GitHub has removed",
    "Name a current image, as ubuntu-latest.",
)
CUT = Rule(
    "lens:cut-version",
    Severity.HIGH,
    "A version without quotes is read as a number and loses its zero",
    "{count} versions without quotes are read as numbers and lose their zeros",
    "Put the version in quotes.",
)
_RUNNERS = re.compile(
    r"^(ubuntu-(?:14|16|18|20)\.04|macos-(?:10\.15|1[123](?:\.0)?)(?:-\w+)?|windows-(?:2012\S*|2016|2019))$"
)
_CUT = re.compile(r"^\d+\.\d*0$")
_VERSION_KEY = re.compile(r"^(python|go|ruby|php|node|java|dotnet)(-?versions?)?$|^version$")


def find_wrong_values(pipeline: Pipeline) -> Iterator[Sighting]:
    """Yields each runner that is gone, and each version that YAML cuts."""
    for job in pipeline.jobs if pipeline.system == "GitHub" else ():
        yield from _runners(pipeline, job)
        for step in job.steps:
            yield from _cut(pipeline, child(step.node, "with"))
        yield from _cut(pipeline, child(job.node, "strategy", "matrix"))


def _runners(pipeline: Pipeline, job: Job) -> Iterator[Sighting]:
    asked = child(job.node, "runs-on")
    wanted = [asked, *items(asked)]
    if match := re.fullmatch(r"\$\{\{\s*matrix\.([\w-]+)\s*\}\}", text(asked)):
        matrix = child(job.node, "strategy", "matrix")
        included = [child(item, match[1]) for item in items(child(matrix, "include"))]
        wanted = [*items(child(matrix, match[1])), *included]
    for node in wanted:
        if _RUNNERS.match(text(node)):
            yield _sighting(pipeline, RUNNER, node, f"job `{job.name}` asks for `{text(node)}`")


def _cut(pipeline: Pipeline, settings: Node) -> Iterator[Sighting]:
    for key, _, value in entries(settings):
        for node in [value, *items(value)]:
            if _VERSION_KEY.match(key) and is_plain(node) and _CUT.match(text(node)) and not text(node).endswith(".0"):
                number = float(text(node))
                yield _sighting(pipeline, CUT, node, f"`{key}` holds {text(node)}, which is read as {number:g}")


def _sighting(pipeline: Pipeline, rule: Rule, node: Node, detail: str) -> Sighting:
    return Sighting(rule, cite(pipeline.source, line(node)), detail)
