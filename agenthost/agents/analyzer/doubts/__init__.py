"""Doubts results by a second look at their file: says why one is left out, and which ones have a rule of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ..results import Result
from . import calls, images, meanings, names, pinning, pipelines, places, scripts

Look = Callable[[Result, bytes], str]
LOOKS: Mapping[str, Look] = {
    **dict.fromkeys(names.RULES, names.why_not),
    **pipelines.LOOKS,
    **calls.LOOKS,
    **images.LOOKS,
    **meanings.LOOKS,
    **places.LOOKS,
    **scripts.LOOKS,
}
KINDS: Mapping[str, Look] = {
    names.UNDEFINED: names.kind_of,
    **pipelines.KINDS,
    **images.KINDS,
    **meanings.KINDS,
    **places.KINDS,
    **scripts.KINDS,
}

# What other files decide, too.
KINDS_IN_TREE: Mapping[str, Callable[[Result, bytes, Path], str]] = {"unpinned-uses": pinning.kind_in_tree}


def is_doubted(rule: str) -> bool:
    """Tells whether results of a rule get a second look."""
    return rule in LOOKS or rule in KINDS or rule in KINDS_IN_TREE


def why_not(rule: str, result: Result, content: bytes) -> str:
    """Returns why a result does not count, to follow "those of RULE that"; nothing where it does."""
    return LOOKS[rule](result, content) if rule in LOOKS else ""


def kind_of(rule: str, result: Result, content: bytes, root: Path | None = None) -> str:
    """Returns the rule by which a result is told: its tool's, or one of ours as `RULE/KIND`, which tables judge apart."""
    kind = KINDS[rule](result, content) if rule in KINDS else ""
    if root is not None and rule in KINDS_IN_TREE:
        kind = KINDS_IN_TREE[rule](result, content, root)
    return f"{result.rule}/{kind}" if kind else result.rule
