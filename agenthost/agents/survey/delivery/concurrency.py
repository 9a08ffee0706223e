"""Finds groups of runs that one run cancels for another's sake: pushes to other branches, pull requests of others, other tags.

`concurrency` with `cancel-in-progress` is meant for newer runs of the same branch. Where nothing in the group's name tells the
branches apart, any new run ends those of all others.
"""

import re
from collections.abc import Iterator

from ...reading.workflows import Workflow
from ...reading.yaml_tree import Node, child, line, text, texts
from ..finding import Finding, cite, sighting

SHARED = "lens:cancelled-by-others"
MAX_CHARACTERS = 1000  # of a group's name
_GLOB = re.compile(r"[*?+!\[]")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
# The same in every run of a workflow.
_FIXED = re.compile(r"\s*(?:github\.(?:workflow|repository|event_name|event\.push\.[\w.]+)|env\.\w+)\s*")
# Empty but for pull requests.
_OF_PULLS = re.compile(r"\s*github\.(?:head_ref|base_ref|event\.(?:number|pull_request\.[\w.]+))\s*")


def find_shared_groups(workflow: Workflow) -> Iterator[Finding]:
    """Yields each group, of a workflow or a job, whose name is the same for runs that have nothing to do with each other."""
    for node in (workflow.root, *(job.node for job in workflow.jobs)):
        concurrency = child(node, "concurrency")
        group = child(concurrency, "group")
        is_cancelling = text(child(concurrency, "cancel-in-progress")) == "true"
        if not is_cancelling or not 0 < len(text(group)) <= MAX_CHARACTERS:
            continue
        parts = _EXPRESSION.findall(text(group))
        own = [part for part in parts if not _FIXED.fullmatch(part)]
        for event in sorted(workflow.triggers & {"push", "pull_request", "pull_request_target", "release"}):
            is_shared = all(map(_OF_PULLS.fullmatch, own)) if event in {"push", "release"} else not own
            if is_shared and (others := _others(event, child(workflow.root, "on", event))):
                title = f"`{text(group)}` is the same for {others}, and a new run cancels the others"
                yield sighting(SHARED, cite(workflow.source, line(group)), title)
                break


def _others(event: str, settings: Node) -> str:
    """Returns which runs share the group at an event; nothing where all are of one branch."""
    if event != "push":
        return "all releases" if event == "release" else "all pull requests"
    branches, tags = (
        [pattern for pattern in texts(child(settings, key)) if not pattern.startswith("!")]
        for key in ("branches", "tags")
    )
    if tags and not branches:
        return "all tags"
    has_one = len(branches) == 1 and not _GLOB.search(branches[0])
    return "" if has_one and not tags else "pushes to all branches"
