"""A few problems of many: one mistake that is made in forty steps is told three times, and counted.

Pure. `conductor validate` prints them all; this is for errors, where what to do next shall stay on the screen.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

SHOWN_ALIKE = 3
SHOWN_PROBLEMS = 12

# Where it is differs between problems that are alike: `flow.yaml:12: steps[3].agent.prompt: …`.
_PLACE = re.compile(r"^.+?:\d+: |\[\d+\]")


def excerpt(problems: Iterable[str], see_all: str = "") -> list[str]:
    """Returns at most SHOWN_ALIKE of a kind and SHOWN_PROBLEMS in all, then how many more there are, and how to see them."""
    every = list(problems)
    shown = list(_few(every))[:SHOWN_PROBLEMS]
    left = len(every) - len(shown)
    if not left:
        return shown
    shown_kinds = {_kind(one) for one in shown}
    new_kinds = {_kind(one) for one in every} - shown_kinds
    alike = "" if new_kinds else " like these"
    return [*shown, f"… and {left} more{alike}{f'; see all:  {see_all}' if see_all else ''}"]


def _few(problems: Iterable[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for problem in problems:
        seen[_kind(problem)] += 1
        if seen[_kind(problem)] <= SHOWN_ALIKE:
            yield problem


def _kind(problem: str) -> str:
    return _PLACE.sub("", problem)
