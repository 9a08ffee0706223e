"""Finds references in workflows that name nothing: values that no event, matrix, step or job gives, and files that are not there.

GitHub replaces such a value by nothing and goes on, so a condition on it is never true.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from ...reading.snapshot import Snapshot
from ...reading.workflows import Job, Workflow
from ...reading.yaml_tree import Node, child, entries, items, last_line, line, text, texts
from ..finding import Finding, cite, sighting

UNDEFINED = "lens:undefined-reference"
GAP = "lens:gap-in-name"
GAP_IN_KEY = "lens:gap-in-key"
NEVER = "lens:never-in-matrix"
MISSING = "lens:missing-input"
MAX_LINE_CHARACTERS = 2000
_FILE_SETTING = re.compile(r"^[a-z]+-version-file$")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
# Of an artifact or a cache, where it is not the name of a job or a step.
_NAME = re.compile(r"\s*(?:-\s+)?(?:name|key|restore-keys):")
_PRINTS = re.compile(r"\s*(?:-\s+)?(?:run:\s*)?(?:echo|printf)\b(?!.*[|>&;])")
_CONDITION = re.compile(r"^\s*(?:-\s+)?if:\s*(?P<text>.*)$")
_NAMED = re.compile(
    r"(?<![\w.'-])(?P<context>matrix|steps|needs)\.(?P<key>[A-Za-z_][\w-]*)(?:\.outputs\.(?P<output>[\w-]+)|\.(?P<field>[\w-]+))?"
    r"(?![\w-]|\s*\|\|)"  # with a value of its own, for where it is not given
)
_IS_VALUE = re.compile(r"(?:^|&&|\$\{\{)\s*matrix\.(?P<key>[\w-]+)\s*==\s*'(?P<value>[^']*)'\s*(?:$|&&|\}\})")
_EVENT = re.compile(r"\$\{\{\s*(?P<value>github\.event\.(?P<key>[a-z_]+)[\w.]*)\s*\}\}")
_WORD = re.compile(r"[\w.-]+")
# By what the value is about, the triggers that give it. What a push gives stands in github.event itself.
_GIVEN_BY = {"pull_request": "pull_request", "issue": "issue", "release": "release", "push": "workflow_call"}
_FIELDS = {"steps": ("outputs", "outcome", "conclusion"), "needs": ("outputs", "result")}
_LACKS = {
    "matrix": "whose matrix has no such key",
    "steps": "which has no step of that id",
    "needs": "which does not list that job in `needs`",
}


def find_undefined(workflow: Workflow) -> Iterator[Finding]:
    """Yields each line that reads a value which nothing defines."""
    for job in workflow.jobs:
        nodes = [job.node, *(step.node for step in job.steps)]
        named = {line(name) for node in nodes if (name := child(node, "name"))}
        for number in range(job.line, min(last_line(job.node), len(workflow.source.lines)) + 1):
            raw = workflow.source.lines[number - 1]
            for match in _references(raw):
                if lack := _lack(workflow, job, match):
                    title = f"`{match.group()}` is read by job `{job.name}`, {lack}"
                    is_read = number in named or bool(_PRINTS.match(raw))  # by people, and by no program
                    rule = GAP if is_read else GAP_IN_KEY if _NAME.match(raw) else UNDEFINED
                    yield sighting(rule, cite(workflow.source, number), title)
    yield from _without_event(workflow)


def _without_event(workflow: Workflow) -> Iterator[Finding]:
    for number, raw in enumerate(workflow.source.lines, 1):
        # A group of runs has a rule of its own.
        for match in _EVENT.finditer(raw) if not re.match(r"\s*(?:#|group:)", raw) else ():
            given = _GIVEN_BY.get(match["key"])
            if given and not any(event.startswith((given, "workflow_call")) for event in workflow.triggers):
                title = f"`{match['value']}` is read, and no event that starts the workflow gives it"
                yield sighting(UNDEFINED, cite(workflow.source, number), title)


def _references(raw: str) -> Iterator[re.Match[str]]:
    if re.match(r"\s*#", raw) or len(raw) > MAX_LINE_CHARACTERS:
        return
    condition = _CONDITION.match(raw)
    for part in [condition["text"].partition(" #")[0]] if condition else _EXPRESSION.findall(raw):
        yield from _NAMED.finditer(part)


def _lack(workflow: Workflow, job: Job, match: re.Match[str]) -> str:
    """Returns why a value is not there; nothing where it may be."""
    context, key = match["context"], match["key"]
    known: Collection[str] | None = job.needs
    if context == "matrix":
        known = _matrix_keys(child(job.node, "strategy"))
    elif context == "steps":
        known = None if job.uses else [text(child(step.node, "id")) for step in job.steps]
    if known is not None and key not in known:
        return _LACKS[context]
    if match["field"] and context in _FIELDS and match["field"] not in _FIELDS[context]:
        return f"without `.outputs` before `.{match['field']}`"
    needed = workflow.job(key) if context == "needs" and match["output"] else None
    given = texts(child(needed.node, "outputs")) if needed and not needed.uses else [match["output"]]
    return "" if match["output"] in given else "and that job has no such output"


def _matrix_keys(strategy: Node) -> Collection[str] | None:
    """Returns the keys of a matrix; None where they are computed."""
    matrix = child(strategy, "matrix")
    extra = child(matrix, "include")
    if any(map(text, (strategy, matrix, extra, *items(extra)))):
        return None
    return {name for item in (matrix, *items(extra)) for name in texts(item)}


def find_never_run(workflow: Workflow) -> Iterator[Finding]:
    """Yields each step for a value that its job's matrix does not have."""
    for job in workflow.jobs:
        matrix = child(job.node, "strategy", "matrix")
        extra = child(matrix, "include")
        conditions = [child(step.node, "if") for step in job.steps]
        for node, match in ((node, _IS_VALUE.search(text(node)[:MAX_LINE_CHARACTERS])) for node in conditions):
            listed = items(child(matrix, match["key"])) if match and "||" not in text(node) else []
            values = [text(value) for value in listed]
            given = [text(child(item, match["key"])) for item in items(extra)] if match else []
            computed = any(map(text, (extra, *items(extra)))) or any("${{" in value for value in (*values, *given))
            is_known = bool(values) and all(values) and not computed
            # A remark beside the list says that the value is switched off for now.
            remarks = _remarks(workflow, child(matrix, match["key"])) if match and is_known else ""
            known = {*map(str.lower, [*values, *given]), *_WORD.findall(remarks)}
            if match and is_known and match["value"].lower() not in known:
                title = f"`{match['key']}` of job `{job.name}` is never `{match['value']}`, so the step never runs"
                yield sighting(NEVER, cite(workflow.source, line(node)), title)


def _remarks(workflow: Workflow, node: Node) -> str:
    """Returns the comments beside a list, and of the line after it, in lower case."""
    lines = workflow.source.lines[line(node) - 1 : last_line(node) + 1]
    return "\n".join(raw.partition("#")[2].lower() for raw in lines)


def find_missing_files(workflow: Workflow, snapshot: Snapshot) -> Iterator[Finding]:
    """Yields each place that names a file of which the repository has none: what a step makes is mentioned twice."""
    known = {PurePosixPath(path).name for path in snapshot.paths}
    for step in (step for job in workflow.jobs for step in job.steps):
        for key, number, value in entries(child(step.node, "with")):
            name = PurePosixPath(text(value)).name if _FILE_SETTING.match(key) and "$" not in text(value) else ""
            if name and name not in known and workflow.source.text.count(name) == 1:
                title = f"`{key}` names `{text(value)}`, and no file has that name"
                yield sighting(MISSING, cite(workflow.source, number), title)
