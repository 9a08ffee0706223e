"""Compares releases: a spec may say with which ones it was tested, as `tested = ">=0.24, <0.26"`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

from agenthost.core.admission.spec_tables import SpecError

_TERM = re.compile(r"(>=|<=|==|>|<)\s*(\d{1,9}(?:\.\d{1,9}){0,7})")
_RELEASE = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,7}")
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def read_tested(text: str) -> str:
    """Returns the range as it stands; raises SpecError where it is none."""
    if text and not all(_TERM.fullmatch(term.strip()) for term in text.split(",")):
        raise SpecError(f"tested is '{text}': it must be comparisons such as '>=0.24, <0.26'")
    return text


def is_tested(tested: str, version: str) -> bool:
    """Returns whether a release is within a range; one that names no number is in none, and no range admits all."""
    if not tested:
        return True
    found = _RELEASE.search(version)
    terms = [match for term in tested.split(",") if (match := _TERM.fullmatch(term.strip()))]
    return found is not None and all(
        _COMPARISONS[term[1]](_order(found[0].split("."), term[2].split(".")), 0) for term in terms
    )


def _order(one: Sequence[str], other: Sequence[str]) -> int:
    """Returns -1, 0 or 1; numbers that are left out count as 0."""
    pairs = zip_longest(map(int, one), map(int, other), fillvalue=0)
    return next((1 if left > right else -1 for left, right in pairs if left != right), 0)
