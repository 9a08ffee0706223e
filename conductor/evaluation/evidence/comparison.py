"""Compares the findings of two runs: which are new, which are fixed, which persist. Pure.

Findings are the same where their fingerprints are; `conductor.evaluation.evidence.fingerprints` says what goes into one. Two equal
fingerprints in one run are two findings, so that one of them can be fixed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Document = Mapping[str, Any]


class Comparison(NamedTuple):
    """The findings of a later run beside those of an earlier one, in the order of their runs."""

    new: list[Document]
    fixed: list[Document]
    persistent: list[Document]


def compare(before: Sequence[Document], after: Sequence[Document]) -> Comparison:
    """Returns the findings of both runs, sorted by where they occur; a persistent one as `after` has it."""
    name = "fingerprint" if all(finding.get("fingerprint") for finding in (*before, *after)) else "id"
    if name == "fingerprint":
        after = list(_under_former_names(before, after))
    fixed, _ = _parted(before, after, name)
    new, persistent = _parted(after, before, name)
    return Comparison(new, fixed, persistent)


def _under_former_names(before: Sequence[Document], after: Sequence[Document]) -> Iterator[Document]:
    """Yields the findings of `after`, those of renamed files under the fingerprints that `before` knows."""
    known = {finding["fingerprint"] for finding in before}
    for finding in after:
        former = finding.get("former_fingerprint", "")
        is_renamed = finding["fingerprint"] not in known and former in known
        yield {**finding, "fingerprint": former} if is_renamed else finding


def _parted(these: Sequence[Document], those: Sequence[Document], name: str) -> tuple[list[Document], list[Document]]:
    """Returns which of these findings the others lack, and which they have."""
    left = Counter(finding[name] for finding in those)
    lacking, had = [], []
    for finding in these:
        if left[finding[name]] > 0:
            left[finding[name]] -= 1
            had.append(finding)
        else:
            lacking.append(finding)
    return lacking, had
