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
GAP_IN_MESSAGE = "lens:gap-in-message"
GAP_IN_KEY = "lens:gap-in-key"
GAP_IN_ARTIFACT = "lens:gap-in-artifact"
GAP_IN_COPY = "lens:gap-in-copy"
NEVER = "lens:never-in-matrix"
ALWAYS = "lens:always-in-matrix"
MISSING = "lens:missing-input"
MAX_LINE_CHARACTERS = 2000
_FILE_SETTING = re.compile(r"^[a-z]+-version-file$")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_COPY = re.compile(r"\s*(?P<name>\w+):\s*\$\{\{\s*matrix\.(?P=name)\s*\}\}\s*")  # with empty meant as the default
# Of an artifact or a cache, where it is not the name of a job or a step.
_NAME = re.compile(r"\s*(?:-\s+)?(?P<key>name|key|restore-keys):")
_PRINTS = re.compile(r"\s*(?:-\s+)?(?:run:\s*)?(?:echo|printf)\b(?!.*[|>&;])")
_CONDITION = re.compile(r"^\s*(?:-\s+)?if:\s*(?P<text>.*)$")
_NAMED = re.compile(
    r"(?<![\w.'-])(?P<context>matrix|steps|needs)\.(?P<key>[A-Za-z_][\w-]*)(?:\.outputs\.(?P<output>[\w-]+)|\.(?P<field>[\w-]+))?"
    r"(?![\w-]|\s*\|\|)"  # with a value of its own, for where it is not given
)
_COMPARED = re.compile(
    r"(?:^|&&|\$\{\{)\s*matrix\.(?P<key>[\w-]+)\s*(?P<sign>[!=]=)\s*'(?P<value>[^']*)'\s*(?:$|&&|\}\})"
)
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
                    yield sighting(GAP if number in named else _rule_for(raw), cite(workflow.source, number), title)
    yield from _without_event(workflow)


def _rule_for(raw: str) -> str:
    """Returns the rule for a line that is no name of a job or a step."""
    if _PRINTS.match(raw):  # people read it, and no program
        return GAP_IN_MESSAGE
    if match := _NAME.match(raw):
        return GAP_IN_ARTIFACT if match["key"] == "name" else GAP_IN_KEY
    return GAP_IN_COPY if _COPY.fullmatch(raw) else UNDEFINED


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
    """Yields each step whose condition has one result for every value that its job's matrix has."""
    for job in workflow.jobs:
        matrix = child(job.node, "strategy", "matrix")
        for node in (child(step.node, "if") for step in job.steps):
            condition = text(node)[:MAX_LINE_CHARACTERS]
            for match in _COMPARED.finditer(condition) if "||" not in condition else ():
                wanted = match["value"].lower()
                rule, told = _outcome(_matrix_values(matrix, match["key"]), wanted, match["sign"])
                # A remark beside the list says that the value is switched off for now.
                if rule and (
                    told.startswith("always") or wanted not in _remarks(workflow, child(matrix, match["key"]))
                ):
                    title = f"`{match['key']}` of job `{job.name}` is {told.format(match['value'])}"
                    yield sighting(rule, cite(workflow.source, line(node)), title)


def _outcome(values: set[str], wanted: str, sign: str) -> tuple[str, str]:
    """Returns the rule for a condition that has one result, and what is told; nothing where it chooses."""
    if sign == "==":
        return (NEVER, "never `{}`, so the step never runs") if values and wanted not in values else ("", "")
    if len(values) != 1:  # of several, one may be left out for a time
        return "", ""
    if wanted in values:
        return NEVER, "always `{}`, so the step never runs"
    return ALWAYS, "never `{}`, so this condition always holds"


def _matrix_values(matrix: Node, key: str) -> set[str]:
    """Returns the values of a key of a matrix in small letters, as GitHub compares them; none where one is not known."""
    extra = child(matrix, "include")
    listed = [text(value) for value in items(child(matrix, key))]
    given = [text(child(item, key)) for item in items(extra)]
    computed = any(map(text, (extra, *items(extra)))) or any("${{" in value for value in (*listed, *given))
    if not listed or not all(listed) or computed:
        return set()
    return {value.lower() for value in (*listed, *given)}


def _remarks(workflow: Workflow, node: Node) -> set[str]:
    """Returns the words of the comments beside a list, and of the line after it, in small letters."""
    lines = workflow.source.lines[line(node) - 1 : last_line(node) + 1]
    return {word for raw in lines for word in _WORD.findall(raw.partition("#")[2].lower())}


def find_missing_files(workflow: Workflow, snapshot: Snapshot) -> Iterator[Finding]:
    """Yields each place that names a file of which the repository has none: what a step makes is mentioned twice."""
    known = {PurePosixPath(path).name for path in snapshot.paths}
    for step in (step for job in workflow.jobs for step in job.steps):
        for key, number, value in entries(child(step.node, "with")):
            name = PurePosixPath(text(value)).name if _FILE_SETTING.match(key) and "$" not in text(value) else ""
            if name and name not in known and workflow.source.text.count(name) == 1:
                title = f"`{key}` names `{text(value)}`, and no file has that name"
                yield sighting(MISSING, cite(workflow.source, number), title)
