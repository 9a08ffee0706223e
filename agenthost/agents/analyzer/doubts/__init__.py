"""Doubts results by a second look at their file: says why one is left out, and which ones have a rule of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..narrowing.repository import Repository
from ..results import Result
from . import (
    calls,
    calls_in_c,
    checks,
    images,
    javascript,
    jobs,
    meanings,
    names,
    owners,
    pipelines,
    places,
    runs,
    scripts,
    users,
    waivers,
)


class Around(NamedTuple):
    """The files around a result: as they are, and in a comparison as the base has them, which no change can alter."""

    here: Repository
    settled: Repository


Look = Callable[[Result, bytes], str]
LOOKS: Mapping[str, Look] = {
    **dict.fromkeys(names.RULES, names.why_not),
    **pipelines.LOOKS,
    **calls.LOOKS,
    **calls_in_c.LOOKS,
    **checks.LOOKS,
    jobs.CONDITION: jobs.is_seen,
    **images.LOOKS,
    **javascript.LOOKS,
    **meanings.LOOKS,
    **places.LOOKS,
    **scripts.LOOKS,
}
KINDS: Mapping[str, Look] = {
    names.UNDEFINED: names.kind_of,
    **checks.KINDS,
    **pipelines.KINDS,
    **images.KINDS,
    **javascript.KINDS,
    **meanings.KINDS,
    **places.KINDS,
    **scripts.KINDS,
}
_IS_OWN = (
    "unpinned-uses",
    "workflow-branch-gets-secret",
    "workflow-branch-runs-for-strangers",
    "workflow-installs-latest",
    "workflow-installs-latest-beside-secrets",
)
# What other files tell.
WIDER: Mapping[str, Callable[[Result, bytes, Around], str]] = {
    **dict.fromkeys(_IS_OWN, lambda result, content, around: owners.why_not(result, content, around.settled)),
    "DL3002": lambda result, content, around: users.why_not(result, content, around.here),
    "js-script-fails-silently": lambda result, content, around: runs.why_not(result, content, around.here),
}

# What other files decide, too.
KINDS_IN_TREE: Mapping[str, Callable[[Result, bytes, Path], str]] = {"unpinned-uses": jobs.kind_in_tree}


def is_doubted(rule: str) -> bool:
    """Tells whether results of a rule get a second look."""
    return rule in LOOKS or rule in KINDS or rule in KINDS_IN_TREE or rule in WIDER or rule.startswith(waivers.PREFIX)


def why_not(rule: str, result: Result, content: bytes, around: Around | None = None) -> str:
    """Returns why a result does not count, to follow "those of RULE that"; nothing where it does."""
    why = LOOKS[rule](result, content) if rule in LOOKS else ""
    if not why and rule.startswith(waivers.PREFIX):
        why = waivers.why_not(result, content)
    return why or (WIDER[rule](result, content, around) if rule in WIDER and around else "")


def kind_of(rule: str, result: Result, content: bytes, root: Path | None = None) -> str:
    """Returns the rule by which a result is told: its tool's, or one of ours as `RULE/KIND`, which tables judge apart."""
    kind = KINDS[rule](result, content) if rule in KINDS else ""
    if root is not None and rule in KINDS_IN_TREE:
        kind = KINDS_IN_TREE[rule](result, content, root)
    return f"{result.rule}/{kind}" if kind else result.rule
