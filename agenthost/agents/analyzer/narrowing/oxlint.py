"""Reads which rules a project's oxlint, ESLint or xo switches off for all of its files: rules have the same names in all of them.

Configuration of ESLint is often a program. It is read as text: a rule is left out where every place that names it says so.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from .omissions import Omission, Omissions
from .repository import Repository

_ENDINGS = ("js", "mjs", "cjs", "ts", "mts", "cts")
NAMES = (
    *(".oxlintrc.json", "oxlint.json", "oxlintrc.json", "package.json"),
    *(
        ".eslintrc",
        ".eslintrc.json",
        ".eslintrc.yml",
        ".eslintrc.yaml",
        ".eslintrc.js",
        ".eslintrc.cjs",
        ".xo-config.json",
    ),
    *(f"{name}.config.{ending}" for name in ("eslint", "xo", "oxlint") for ending in _ENDINGS),
)
_OFF = re.compile(r"\s*[\"']?(?:off\b|0\b|allow\b|\[\s*[\"']off)")
# A plugin's name stands before that of a rule, or nothing for those of ESLint itself.
_RULE = re.compile(
    r"[\"']?(?<![\w/-])(?:@?[\w-]{1,60}/){0,3}(?P<rule>[a-z][a-z-]{0,60}-[a-z-]{1,60}|eqeqeq|radix)[\"']?\s*:(?=(?P<value>[^\n]{0,20}))"
)


def narrow(root: Path, base: str = "") -> Omissions:
    """Returns the rules that the project's configuration of its linters switches off."""
    repository = Repository(root, base)
    omissions = Omissions(repository.origin)
    for path in repository.find(NAMES):
        if rules := tuple(_rules(repository.read(path))):
            omissions.add([Omission(path, "rules", rules, is_exact=True)])
    return omissions


def _rules(text: str) -> Iterator[str]:
    values: dict[str, list[bool]] = {}
    for match in _RULE.finditer(text):
        values.setdefault(match["rule"], []).append(bool(_OFF.match(match["value"])))
    yield from (rule for rule, off in values.items() if all(off))
