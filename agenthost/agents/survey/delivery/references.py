"""Finds references in workflows that name nothing: keys that the matrix has not, steps, jobs and files that are not there.

GitHub replaces such a reference by nothing and goes on, so a condition on it is never true.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...reading.snapshot import Snapshot
from ...reading.yaml_tree import Node, child, entries, items, last_line, text, texts
from ..finding import Finding, cite, sighting
from .pipelines import Job, Pipeline

UNDEFINED = "lens:undefined-reference"
UNSHOWN = "lens:undefined-label"
MISSING = "lens:missing-input"
# Settings of set-up actions, and options of commands, that name a file of the repository.
_FILE_SETTING = re.compile(r"^[a-z]+-version-file$")
_FILE_OPTION = re.compile(r"\bpip3? install\b[^|;&]*?\s(?:-r|--requirement)[ =]([\w./-]+\.(?:txt|in))(?=\s|$)")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_CONDITION = re.compile(r"^\s*(?:-\s+)?if:\s*(?P<text>.*)$")
_NAMED = re.compile(r"(?<![\w.'-])(?P<context>matrix|steps|needs)\.(?P<key>[A-Za-z_][\w-]*)")


def find_undefined(pipeline: Pipeline) -> Iterator[Finding]:
    """Yields each line that reads a value which nothing defines; a name that repeats within a job is given once per line."""
    if pipeline.system != "GitHub":
        return
    for job in pipeline.jobs:
        known = _defined(job)
        for number in range(job.line, min(last_line(job.node), len(pipeline.source.lines)) + 1):
            raw = pipeline.source.lines[number - 1]
            for match in _references(raw):
                context, key = match["context"], match["key"]
                names = known[context]
                if names is not None and key not in names:
                    rule = UNSHOWN if re.match(r"^\s*(?:-\s+)?name:", raw) else UNDEFINED
                    place = cite(pipeline.source, number)
                    yield sighting(rule, place, f"`{context}.{key}` is read by job `{job.name}`, {_LACKS[context]}")


def find_missing_files(pipeline: Pipeline, snapshot: Snapshot) -> Iterator[Finding]:
    """Yields each place that names a file of which the repository has none of that name: what a step makes is mentioned twice."""
    known = {PurePosixPath(path).name for path in snapshot.paths}
    for job in pipeline.jobs:
        for number, path in _files(job):
            name = PurePosixPath(path).name
            if name not in known and pipeline.source.text.count(name) == pipeline.source.text.count(path) == 1:
                place = cite(pipeline.source, number)
                yield sighting(MISSING, place, f"job `{job.name}` reads `{path}`, and no file has that name")


def _files(job: Job) -> Iterator[tuple[int, str]]:
    for step in job.steps:
        for key, number, value in entries(child(step.node, "with")):
            if _FILE_SETTING.match(key) and text(value) and "$" not in text(value):
                yield number, text(value)
        for command in step.commands:
            for match in _FILE_OPTION.finditer(command.text):
                yield command.line, match[1]


_LACKS = {
    "matrix": "whose matrix has no such key",
    "steps": "which has no step of that id",
    "needs": "which does not list that job in `needs`",
}


def _references(raw: str) -> Iterator[re.Match[str]]:
    if raw.lstrip().startswith("#") or len(raw) > 2000:
        return
    condition = _CONDITION.match(raw)
    parts = [condition["text"].partition(" #")[0]] if condition else _EXPRESSION.findall(raw)
    for part in parts:
        yield from _NAMED.finditer(part)


def _defined(job: Job) -> dict[str, frozenset[str] | None]:
    """Maps each context to the names that it has; None where they are not known before it runs."""
    ids = [text(child(step.node, "id")) for step in job.steps]
    return {
        "matrix": _matrix_keys(child(job.node, "strategy")),
        "steps": None if job.uses else frozenset(ids),
        "needs": frozenset(job.needs),
    }


def _matrix_keys(strategy: Node) -> frozenset[str] | None:
    matrix = child(strategy, "matrix")
    if strategy is not None and (text(strategy) or text(matrix)):
        return None
    found: set[str] = set()
    for key, _, value in entries(matrix):
        if key == "include":
            if text(value) or any(text(item) for item in items(value)):
                return None
            found |= {name for item in items(value) for name in texts(item)}
        elif key != "exclude":
            found.add(key)
    return frozenset(found)
