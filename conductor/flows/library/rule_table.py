"""Reads tables of rules: what a flow's merge keeps of tools' findings, with our severity and a reason, and what it drops.

A table is TOML, as `[ruff.F821]` with `severity` and `why`, or with `drop`. A tool that has rules here is judged by them alone; a
tool that has none is not judged. Every mistake is a problem with its line, its rule and its field. Nothing in a table is a pattern.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

MAX_TABLE_BYTES = 256 * 1024
MAX_LINE_CHARACTERS = 5000
MAX_RULES = 2000
MAX_NAME_CHARACTERS = 99  # of TOOL:ID together with the colon 100, as of a finding's rule
MAX_TEXT_CHARACTERS = {"drop": 500, "why": 500, "title": 200, "titles": 200, "remedy": 1000}
MAX_JUDGED_ON = 40
MAX_JUDGED_ON_CHARACTERS = 80
LENS = "lens"  # our own readers of code, which rate each of their findings
SEVERITIES = ("critical", "high", "medium", "low", "info")
PLACEHOLDERS = ("count", "files")
FIELDS = ("severity", "drop", "why", "title", "titles", "remedy", "fold", "tests", "judged_on")
OF_DROPPED = ("drop", "judged_on")
_FILES = re.compile(r"\{files\} (\w+)")
_PLACEHOLDER = re.compile(r"(?<!\$)\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the findings of a tool's rule. An empty text leaves the finding's own; `drop` says why they go."""

    severity: str = ""
    drop: str = ""
    why: str = ""
    title: str = ""
    titles: str = ""
    remedy: str = ""
    fold: bool = True
    tests: bool = False
    judged_on: tuple[str, ...] = ()


class TableProblem(NamedTuple):
    """A mistake in a table: its line, from 1, `TOOL.RULE.FIELD` as far as it is known, and a sentence."""

    line: int
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleTable:
    """The rules by name, `TOOL:ID`, and the tools that have some; and all mistakes."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    tools: frozenset[str] = frozenset()
    problems: tuple[TableProblem, ...] = ()

    def keeps(self, name: str) -> bool:
        """Returns whether a rule is in the table, and not dropped."""
        return name in self.rules and not self.rules[name].drop

    def judges(self, name: str) -> bool:
        """Returns whether the table has rules of the tool that this rule belongs to."""
        tool, colon, _ = name.partition(":")
        return bool(colon) and tool in self.tools


@lru_cache(8)
def read_rule_table(text: str) -> RuleTable:
    """Returns the table in a text, with its problems."""
    if (long := next((at for at, line in enumerate(text.split("\n"), 1) if len(line) > MAX_LINE_CHARACTERS), 0)) > 0:
        # The parser takes minutes for a key with very many dots.
        return RuleTable(problems=(TableProblem(long, "", f"a line has at most {MAX_LINE_CHARACTERS} characters"),))
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return RuleTable(problems=(TableProblem(_line_in(error), "", f"is not TOML: {error}"),))
    lines = _headers(text)
    rules: dict[str, Rule] = {}
    problems: list[TableProblem] = []
    for tool, name, value in _entries(values):
        where = f"{tool}.{name}" if name else tool
        found = list(_problems_of(tool, name, value))
        line = lines.get((tool, name), lines.get((tool, ""), 1))
        problems += [TableProblem(line, f"{where}.{part}" if part else where, told) for part, told in found]
        if not found:
            rules[f"{tool}:{name}"] = Rule(**{**value, "judged_on": tuple(value.get("judged_on", ()))})
    if len(rules) > MAX_RULES:
        problems.append(TableProblem(1, "", f"has {len(rules)} rules; the limit is {MAX_RULES}"))
    return RuleTable(rules, frozenset(name.partition(":")[0] for name in rules), tuple(problems))


def _entries(values: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yields tool, rule and entry; of what is no tool its value, without a rule."""
    for tool, entries in values.items():
        if isinstance(entries, dict) and entries:
            yield from ((tool, name, value) for name, value in entries.items())
        else:
            yield tool, "", entries


def _problems_of(tool: str, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yields the mistakes of an entry: the field, and a sentence."""
    if not isinstance(value, dict) or not name:
        yield "", "is no rule: write [TOOL.RULE] with severity and why, or with drop"
        return
    if not tool or ":" in tool or len(tool) + len(name) > MAX_NAME_CHARACTERS or not (tool + name).isprintable():
        yield "", f"TOOL and RULE are printable, have {MAX_NAME_CHARACTERS} characters together, and TOOL has no colon"
    yield from ((key, f"is unknown; a rule has {', '.join(FIELDS)}") for key in value if key not in FIELDS)
    yield from _form_problems(value)
    yield from _title_problems(value)
    if "drop" in value:
        yield from ((key, "stands beside drop: a rule is kept or dropped") for key in FIELDS if _is_surplus(key, value))
    else:
        yield from _kept_problems(tool, value)


def _form_problems(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, most in MAX_TEXT_CHARACTERS.items():
        if key in value:
            yield from ((key, told) for told in _text_problems(value[key], most))
    for key in ("fold", "tests"):
        if not isinstance(value.get(key, True), bool):
            yield key, "must be true or false"
    yield from _judged_on_problems(value.get("judged_on", []))


def _kept_problems(tool: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "severity" not in value and tool != LENS:
        yield "severity", "is missing: give it, or drop with the reason why a good engineer waves the rule away"
    if "severity" in value and value["severity"] not in SEVERITIES:
        yield "severity", f"must be one of {', '.join(SEVERITIES)}"
    if "why" not in value:
        yield "why", "is missing: one sentence on why a maintainer acts"


def _is_surplus(key: str, value: Mapping[str, Any]) -> bool:
    return key in value and key not in OF_DROPPED


def _text_problems(value: Any, most: int) -> Iterator[str]:
    if not isinstance(value, str) or not value.strip():
        yield "must be a text, and not empty"
    elif len(value) > most:
        yield f"has at most {most} characters, this has {len(value)}"
    elif not value.isprintable():
        yield "must be one line of printable characters"


def _judged_on_problems(value: Any) -> Iterator[tuple[str, str]]:
    names = value if isinstance(value, list) else [None]
    if len(names) > MAX_JUDGED_ON or not all(
        isinstance(name, str) and 0 < len(name) <= MAX_JUDGED_ON_CHARACTERS for name in names
    ):
        yield "judged_on", f"must be a list of at most {MAX_JUDGED_ON} repositories"


def _title_problems(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, known in (("title", ()), ("titles", PLACEHOLDERS)):
        text = value.get(key)
        for found in _PLACEHOLDER.findall(text) if isinstance(text, str) else ():
            if found not in known:
                shown = " and ".join(f"{{{name}}}" for name in known) or "no placeholder; 'titles' has"
                yield key, f"has {shown}, not {{{found[:40]}}}"


def filled(titles: str, count: int, files: int) -> str:
    """Returns the title of a folded finding with its numbers: `{files} workflows` is `1 workflow`."""
    if files == 1:
        titles = _FILES.sub(lambda found: f"1 {_singular(found[1])}", titles)
    return titles.replace("{count}", f"{count:,}").replace("{files}", f"{files:,}")


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


def _headers(text: str) -> dict[tuple[str, str], int]:
    """Returns the lines of the headers `[TOOL.RULE]`."""
    lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        head, _, _ = line.partition("]")
        if head.startswith("["):
            tool, _, name = head[1:].partition(".")
            key = (tool.strip(" \"'"), name.strip(" \"'"))
            lines.setdefault(key, number)
            lines.setdefault((key[0], ""), number)
    return lines


def _line_in(error: Exception) -> int:
    found = re.search(r"at line (\d{1,9})", str(error))
    return int(found[1]) if found else 1
