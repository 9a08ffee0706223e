"""Finds permissions to write that no step of a job can use: none gets the token, and git keeps it only where a checkout says so.

Only jobs whose actions are all known to write nothing are judged. What a workflow gives all of its jobs is zizmor's.
"""

from collections.abc import Iterator

from ...reading.permissions import READERS, USING
from ...reading.workflows import Job, Workflow
from ...reading.yaml_tree import Node, child, entries, last_line, plain, text
from ..finding import Finding, cite, sighting

UNUSED = "lens:unused-permission"


def find_unused_permissions(workflow: Workflow) -> Iterator[Finding]:
    """Yields each permission of a job to write that none of its steps can use."""
    shared = _told(child(workflow.root, "env"))
    for job in workflow.jobs:
        own = child(job.node, "permissions")
        given = own if own is not None or len(workflow.jobs) > 1 else child(workflow.root, "permissions")
        said = "\n".join(workflow.source.lines[job.line - 1 : last_line(job.node)])
        actions = [step.uses for step in job.steps if step.uses]
        is_known = actions and all(map(READERS.fullmatch, actions)) and not USING.search(shared + said)
        for name, number, node in entries(given) if is_known else ():
            if text(node) == "write" and (name != "contents" or _keeps_nothing(job)):
                title = f"`{name}: write` of job `{job.name}`"
                yield sighting(UNUSED, cite(workflow.source, number), title)


def _keeps_nothing(job: Job) -> bool:
    checkouts = [step for step in job.steps if step.uses.startswith("actions/checkout@")]
    return all(step.setting("persist-credentials") == "false" for step in checkouts)


def _told(node: Node) -> str:
    return str(plain(node)) if node is not None else ""
