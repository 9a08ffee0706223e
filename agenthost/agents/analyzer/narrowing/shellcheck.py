"""Reads what a project's shellcheck leaves out: `disable=` of the .shellcheckrc files, each for the scripts below its folder."""

import re
from collections.abc import Iterator
from pathlib import Path

from .omissions import ALL, Omission, Omissions
from .repository import Repository

NAMES = (".shellcheckrc", "shellcheckrc")
MAX_RANGE = 1000
_LINE = re.compile(r"\s*disable=[\"']?([^#\"']*)")
_RANGE = re.compile(r"(?:SC)?(\d{4})-(?:SC)?(\d{4})")
_CODE = re.compile(r"(?:SC)?(\d{4})")


def narrow(root: Path, base: str = "") -> Omissions:
    """Returns what the project's configuration of shellcheck leaves out."""
    repository = Repository(root, base)
    omissions = Omissions(repository.origin)
    for path in repository.find(NAMES):
        for line in repository.read(path).splitlines():
            match = _LINE.match(line)
            rules = tuple(_rules(match[1])) if match else ()
            omissions.add([Omission(path, "disable", rules, is_exact=ALL not in rules)] if rules else [])
    return omissions


def _rules(value: str) -> Iterator[str]:
    for word in value.replace(",", " ").split():
        if word == "all":
            yield ALL
        elif match := _RANGE.fullmatch(word):
            first, last = int(match[1]), int(match[2])
            yield from (f"SC{number}" for number in range(first, min(last + 1, first + MAX_RANGE)))
        elif match := _CODE.fullmatch(word):
            yield f"SC{match[1]}"
