"""Finds inputs of workflows and composite actions that are declared and read nowhere, or read and declared nowhere.

A checksum that nothing reads is found too, where others beside it are compared.
"""

import re
from collections.abc import Iterator

from ...reading.workflows import Workflow
from ...reading.yaml_tree import child, entries, text
from ..finding import Finding, cite, sighting
from .references import UNDEFINED

UNREAD = "lens:unread-input"
CHECKSUM = "lens:unread-checksum"
_CHECKSUM = re.compile(r"[0-9a-f]{32,128}")
_READ = re.compile(r"(?<![\w.-])(?:github\.event\.)?inputs(?:\.|\[['\"])(?P<name>[A-Za-z_][\w-]*)")
# What may read all inputs at once, or is written down only for people.
_ALL = re.compile(r"(?i)tojson\(\s*(?:inputs|github)|\binputs\[[^'\"]|GITHUB_EVENT_PATH|\binputs\.\*")
_REMARK = re.compile(r"(?i)reason|note|comment|message|description|confirm")


def find_input_gaps(workflow: Workflow) -> Iterator[Finding]:
    """Yields each input without a reader, and the first reading of each one that no trigger declares."""
    runs, on = child(workflow.root, "runs"), child(workflow.root, "on")
    lists = [child(on, name, "inputs") for name in ("workflow_dispatch", "workflow_call")]
    lists += [child(workflow.root, "inputs")] if text(child(runs, "using")) == "composite" else []
    declared = {name.lower(): (name, number) for node in lists for name, number, _ in entries(node)}
    lines = [(number, line) for number, line in enumerate(workflow.source.lines, 1) if not re.match(r"\s*#", line)]
    found = [(match["name"], number) for number, line in lines for match in _READ.finditer(line)]
    read = {name.lower(): (name, number) for name, number in reversed(found)}
    is_open = any(_ALL.search(line) for _, line in lines)
    for name, number in (declared[key] for key in declared.keys() - read.keys() if not is_open):
        if not _REMARK.search(name):
            yield sighting(UNREAD, cite(workflow.source, number), f"input `{name}` is declared, and nothing reads it")
    for name, number in (read[key] for key in read.keys() - declared.keys() if runs is None):
        title = f"input `{name}` is read, and no trigger of the workflow declares it"
        yield sighting(UNDEFINED, cite(workflow.source, number), title)
    for node in (workflow.root, *(job.node for job in workflow.jobs)):
        sums = [
            (name, number) for name, number, value in entries(child(node, "env")) if _CHECKSUM.fullmatch(text(value))
        ]
        unread = [(name, number) for name, number in sums if workflow.source.text.count(name) == 1]
        for name, number in unread if len(unread) < len(sums) else ():
            yield sighting(CHECKSUM, cite(workflow.source, number), f"nothing compares a download with `{name}`")
