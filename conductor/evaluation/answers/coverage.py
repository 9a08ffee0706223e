"""Reads and gathers coverage: by each tool which files it judged and skipped, and how many findings each of its rules has.

It comes from agents, so every part is bounded, and what does not have its form is left out. Numbers count beyond the limits on
findings: a tool hands in some places of a rule, and counts the others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

Coverage = dict[str, Any]

MAX_NEEDS = 40
MAX_KINDS, MAX_RULES = 200, 200
MAX_NAME_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 300
MAX_COUNT = 1_000_000_000
TEXTS = ("tool", "history", "narrowed_by", "left_out_names")
COUNTS = {
    "files": MAX_KINDS,
    "judged": MAX_KINDS,
    "skipped": MAX_KINDS,
    "rules": MAX_RULES,
    "in_tests": MAX_RULES,
    "rule_files": MAX_RULES,
    "narrowed": MAX_RULES,
    "left_out": MAX_KINDS,
    "others": MAX_KINDS,
}


def read_coverage(value: Any) -> Coverage:
    """Returns the coverage that an agent handed in; empty where it has none."""
    if not isinstance(value, Mapping):
        return {}
    texts = {name: text for name in TEXTS if (text := _text(value.get(name), MAX_TEXT_CHARACTERS))}
    counts = {name: found for name, most in COUNTS.items() if (found := _counts(value.get(name), most))}
    return {**texts, **counts}


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str):
        return ""
    return " ".join(value.encode(errors="replace").decode().split())[:most]


def _counts(value: Any, most: int) -> dict[str, int]:
    """Returns numbers by name, the largest where there are too many."""
    if not isinstance(value, Mapping):
        return {}
    found = {
        _text(name, MAX_NAME_CHARACTERS): number
        for name, number in value.items()
        if type(number) is int and 0 <= number <= MAX_COUNT and _text(name, MAX_NAME_CHARACTERS)
    }
    if len(found) > most:
        found = dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:most])
    return found


def gather_coverage(listed: Iterable[Iterable[Coverage]]) -> tuple[Coverage, ...]:
    """Returns the coverage of several steps, each once, of very many the first."""
    gathered: dict[str, Coverage] = {}
    for coverage in (one for each in listed for one in each):
        gathered.setdefault(f"{coverage.get('step')}\0{coverage.get('tool')}\0{coverage.get('agent')}", coverage)
    return tuple(gathered.values())[:MAX_NEEDS]


def count_rules(listed: Iterable[Coverage], name: str) -> Counter[str]:
    """Returns how many findings each rule has in a member of coverage: `rules`: all, `in_tests`: those in test code."""
    total: Counter[str] = Counter()
    for coverage in listed:
        total.update(coverage.get(name, {}))
    return total
