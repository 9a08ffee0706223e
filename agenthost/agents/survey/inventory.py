"""Counts the files of a snapshot by language, and tells whether a history came with it: the lens `inventory`.

It judges nothing. The report sets what lenses and analyzers covered against it.
"""

from collections import Counter, defaultdict
from typing import Any

from ..files import is_generated, is_vendored, language, spelt
from ..reading.history import describe_history
from ..reading.snapshot import NOT_TEXT, TOO_DEEP, TOO_MANY, Snapshot

MAX_KINDS = 200
MAX_NAMED = 3  # files, of each reason
WITHOUT_EXTENSION = "no extension"
NO_TEXT = "not text"
# Written by tools and read by tools.
_LOCKS = frozenset({".lock", ".sum", ".snap", ".map"})


def take_inventory(snapshot: Snapshot) -> dict[str, Any]:
    """Returns the coverage of this lens: the files that could be judged, by kind, and the others by the reason."""
    kinds = Counter[str]()
    left_out = Counter(reason for reason in snapshot.left_out.values() if reason in {TOO_DEEP, TOO_MANY})
    names = defaultdict[str, list[str]](list)
    for path in snapshot.paths:
        kind, reason = _classified(snapshot, path)
        if reason:
            left_out[reason] += 1
            if reason != NO_TEXT and len(names[reason]) < MAX_NAMED:
                names[reason].append(spelt(path))
        else:
            kinds[kind] += 1
    return {
        "tool": "lens inventory",
        "files": dict(sorted(kinds.most_common(MAX_KINDS), key=lambda item: (-item[1], item[0]))),
        "left_out": dict(sorted(left_out.items())),
        "left_out_names": "; ".join(
            _listed(reason, paths, left_out[reason]) for reason, paths in sorted(names.items())
        ),
        "history": describe_history(),
    }


def _listed(reason: str, paths: list[str], count: int) -> str:
    return f"{reason}: {', '.join(paths)}{', …' if count > len(paths) else ''}"


def _classified(snapshot: Snapshot, path: str) -> tuple[str, str]:
    """Returns the kind of a file, and why it is nothing to judge; empty where it is."""
    kind = language(path)
    if kind in _LOCKS:
        return kind, "for tools only"
    if is_vendored(path):
        return kind, "vendored"
    source = snapshot.read(path)
    if source is None:
        reason = snapshot.left_out.get(path)
        return kind or WITHOUT_EXTENSION, NO_TEXT if reason == NOT_TEXT else ""
    if is_generated(source.lines, source.path):
        return kind, "generated"
    return kind or language(path, source.lines[0]) or WITHOUT_EXTENSION, ""
