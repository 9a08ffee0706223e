"""Parses what a spec says of an analyzer: a deterministic tool that our program `analyzer` drives inside the sandbox.

The program, its table, and what its findings rest on. Where the program lies on this host, and whether an adapter of that name is
there, other modules look up.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agenthost.core.admission.spec_tables import SpecError
from agenthost.core.sandbox.policy import MOUNTS
from servicekit.errors import shown, there_are

SARIF = "sarif"
PROGRAM_FOLDER = f"{MOUNTS}/program"
PACKAGES = "packages"  # as a name below /opt
LAUNCHER = f"{MOUNTS}/bridge/analyzer/launcher.py"
MAX_PATTERNS = 64
MAX_TEXT_CHARACTERS = 200  # of a name of files, of a rule, of a text
MAX_PATTERN_CHARACTERS = 500
MAX_RULES = 64
MAX_BATCH = 20_000  # files on a command line
# In argv, replaced inside the sandbox: the files of a batch, and where the tool writes its result.
FILES, RESULT = "{files}", "{result}"
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_MODULE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_WORD = re.compile(r"[a-z][a-z -]{0,39}")
_KEYS = frozenset(
    {
        "files",
        "batch",
        "ok_exit",
        "result",
        "adapter",
        "skipped",
        "unparsed",
        "narrowing",
        "blocks",
        "category",
        "tool",
        "unless",
    }
)


@dataclass(frozen=True, slots=True)
class Analyzer:
    """The table [analyzer] of a spec."""

    files: tuple[str, ...] = ()  # names or shebangs; without any it runs once, over the whole workspace
    batch: int = 1000  # files that stand on one command line, at most
    ok_exit: tuple[int, ...] = (0, 1)
    result: str = "stdout"
    adapter: str = ""
    skipped: str = ""
    unparsed: tuple[str, ...] = ()  # rules whose results say that a file could not be parsed
    narrowing: str = ""
    blocks: str = ""  # the kind of pieces that are taken out of the files, for the tool to judge
    category: str = ""
    tool: str = ""  # the name before its rules, where it is not the agent's
    unless: tuple[tuple[str, tuple[str, ...]], ...] = ()  # by rule, texts in whose lines its results do not count

    def settings(self, name: str, version: str) -> str:
        """Returns the first argument of our program."""
        table = {key: getattr(self, key) for key in sorted(_KEYS)} | {"unless": dict(self.unless)}
        return json.dumps({"name": name, "version": version, **table})


def read_analyzer(table: Any, argv: tuple[str, ...]) -> Analyzer:
    """Returns the table; raises SpecError, whose text begins with the field."""
    if not isinstance(table, Mapping):
        raise SpecError(f"analyzer is {shown(table)}: it must be a table, as [analyzer]")
    if unknown := sorted(set(table) - _KEYS):
        raise SpecError(f"analyzer.{unknown[0]} is no setting{there_are(unknown[0], sorted(_KEYS))}")
    found = Analyzer(
        _texts(table, "files", "names or shebangs, as ['*.py', '#!python']"),
        _batch(table.get("batch", 1000)),
        _codes(table.get("ok_exit", [0, 1])),
        _choice(table, "result", ("stdout", "file")),
        _name(table, "adapter", _MODULE),
        _skipped(table.get("skipped", "")),
        _texts(table, "unparsed", "rules of the tool"),
        _name(table, "narrowing", _MODULE),
        _name(table, "blocks", _MODULE),
        _name(table, "category", _WORD),
        _name(table, "tool", _MODULE),
        _unless(table.get("unless", {})),
    )
    if FILES in argv and not found.files:
        raise SpecError(
            "analyzer.files is required where argv holds {files}: names as '*.py', or shebangs as '#!python'"
        )
    if (found.result == "file") != (RESULT in argv):
        raise SpecError("analyzer.result = 'file' and {result} in argv belong together")
    return found


def read_program(name: str) -> str:
    """Returns the name of the tool's program; raises SpecError."""
    if name and not _PROGRAM.fullmatch(name):
        raise SpecError(f"program is '{name}': it must be the plain name of a program, as 'ruff', without a folder")
    return name


def read_evidence(word: str, *, is_analyzer: bool, asks_model: bool) -> bool:
    """Returns whether findings may name a place without a quote; raises SpecError."""
    if word not in {"", "places", "quotes"}:
        raise SpecError(f"evidence is '{word}': it must be 'places' or 'quotes'")
    if asks_model and (is_analyzer or word == "places"):
        field = "dialect = 'sarif'" if is_analyzer else "evidence = 'places'"
        raise SpecError(f"network = 'model' and {field} exclude each other: what a model says needs quotes")
    return word == "places" or (is_analyzer and not word)


def _texts(table: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not _are_texts(values):
        raise SpecError(f"analyzer.{key} is {shown(values)}: it must be a list of at most {MAX_PATTERNS} {what}")
    return tuple(values)


def _unless(table: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(table, Mapping) or len(table) > MAX_RULES or not all(map(_are_some_texts, table.values())):
        raise SpecError(
            f"analyzer.unless is {shown(table)}: it must be a table of at most {MAX_RULES} rules with lists of texts,"
            " as F821 = ['exec(']"
        )
    return tuple((rule, tuple(texts)) for rule, texts in sorted(table.items()))


def _are_some_texts(values: Any) -> bool:
    return bool(values) and _are_texts(values)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and len(values) <= MAX_PATTERNS and all(map(_is_text, values))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARACTERS and "\0" not in value


def _codes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not values or not all(type(one) is int and 0 <= one <= 255 for one in values):
        raise SpecError(f"analyzer.ok_exit is {shown(values)}: it must be a list of exit codes, as [0, 1]")
    return tuple(values)


def _batch(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MAX_BATCH:
        raise SpecError(f"analyzer.batch is {shown(value)}: it must be a number of files from 1 to {MAX_BATCH:,}")
    return value


def _choice(table: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = table.get(key, choices[0])
    if value not in choices:
        raise SpecError(f"analyzer.{key} is {shown(value)}: it must be one of {', '.join(choices)}")
    return str(value)


def _name(table: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = table.get(key, "")
    if value != "" and not (isinstance(value, str) and pattern.fullmatch(value)):
        raise SpecError(f"analyzer.{key} is {shown(value)}: it must match {pattern.pattern}")
    return str(value)


def _skipped(value: Any) -> str:
    try:
        is_good = isinstance(value, str) and len(value) <= MAX_PATTERN_CHARACTERS
        if is_good and (not value or "path" in re.compile(value).groupindex):
            return str(value)
    except re.error as error:
        raise SpecError(f"analyzer.skipped is not a regular expression: {error}") from error
    raise SpecError(f"analyzer.skipped is {shown(value)}: it must be a regular expression with a group (?P<path>…)")
