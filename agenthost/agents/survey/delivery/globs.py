"""Finds patterns with `**` that a shell or make reads as `*`: they reach one folder deep, and other files are left out.

Told only where the pattern matches some files, so that the shell hands these over, and misses others. Where it matches none, the
program gets the pattern itself, and may read it well.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from posixpath import dirname, join, normpath

from ...files import is_vendored
from ...reading.snapshot import SourceText
from ...reading.workflows import Workflow
from ...reading.yaml_tree import child, text
from ..finding import Finding, cite, named, sighting
from ..survey import Survey

SHALLOW = "lens:shallow-pattern"
MAX_FILES = 200  # of scripts and manifests
MAX_PATTERNS = 20  # of a file
MAX_COLUMNS = 1000
_PATTERN = re.compile(r"(?<![^\s(:])(?:\./)?(?P<pattern>(?:[\w.-]+/)*\*\*/(?!\*\*)[\w.*/-]*\w)(?![^\s);&|\"])")
_QUOTED = re.compile(r"\\?\"[^\"]*\"|'[^']*'")
_SCRIPT = re.compile(r"\s*\"[\w:.-]+\"\s*:\s*\"(?P<text>(?:\\.|[^\"\\])*)\"")
_MAKE = re.compile(r"(^|/)((GNUm|M|m)akefile|[^/]+\.mk)$")
_SLOW = re.compile(r"(?:\*[^/*]+){2}\*|(?:\*\*.*){3}")  # to look for in every path
# Shells that know it, and what runs in another folder.
_DEEP = re.compile(
    r"globstar|^[ \t]*SHELL[ \t]*[:?]?=[^\n]*zsh|shell-?emulator[ \t]*[:=][ \t]*true", re.IGNORECASE | re.MULTILINE
)
_MOVES = re.compile(r"\b(?:cd|pushd)\s|\s-C\s")


def find_shallow_patterns(survey: Survey, workflows: list[Workflow]) -> Iterator[Finding]:
    """Yields each line whose pattern misses files that it means."""
    for workflow in workflows:
        for step in (step for job in workflow.jobs for step in job.steps):
            shell = text(child(step.node, "shell")) or "bash"
            moved = child(step.node, "working-directory") is not None or any(
                _MOVES.search(command.text) for command in step.commands
            )
            if shell in {"bash", "sh"} and not moved and not any(_DEEP.search(one.text) for one in step.commands):
                lines = ((command.line, command.text) for command in step.commands)
                yield from _missed(survey, workflow.source, lines, "")
    is_deep = survey.snapshot.has(".yarnrc.yml") or any(
        (source := survey.snapshot.read(path)) and _DEEP.search(source.text)
        for path in ("pnpm-workspace.yaml", ".npmrc")
    )
    paths = (path for path in survey.snapshot.paths if not is_vendored(path))
    manifests = (path for path in paths if _MAKE.search(path) or (not is_deep and f"/{path}".endswith("/package.json")))
    for source in filter(None, map(survey.snapshot.read, islice(manifests, MAX_FILES))):
        if not _DEEP.search(source.text):
            yield from _missed(survey, source, _lines(source), dirname(source.path))


def _lines(source: SourceText) -> Iterator[tuple[int, str]]:
    """Yields the command lines of a manifest."""
    for number, line in enumerate(source.lines, 1):
        if source.path.endswith(".json"):
            script = _SCRIPT.match(line[:MAX_COLUMNS])
            if script and " " in script["text"] and not _MOVES.search(line):
                yield number, script["text"].replace('\\"', '"')
        elif not line.lstrip().startswith("#") and not _MOVES.search(line):
            yield number, line[:MAX_COLUMNS]


def _missed(survey: Survey, source: SourceText, lines: Iterable[tuple[int, str]], folder: str) -> Iterator[Finding]:
    found = ((number, _patterns(line[:MAX_COLUMNS])) for number, line in lines if "**/" in line)
    for number, patterns in islice(((number, patterns) for number, patterns in found if patterns), MAX_PATTERNS):
        if survey.is_late():
            return
        near = [_expression(join(folder, word), deep=False) for word in patterns]
        far = [_expression(join(folder, word), deep=True) for word in patterns if "**/" in word]
        meant = [path for path in survey.snapshot.paths if any(one.fullmatch(path) for one in far)]
        missed = [path for path in meant if not any(one.fullmatch(path) for one in near)]
        is_expanded = any(
            one.fullmatch(path) for one, word in zip(near, patterns, strict=True) if "**/" in word for path in meant
        )
        if is_expanded and missed:
            word = next(word for word in patterns if "**/" in word)
            files = f"misses {named(len(missed), 'file')} of {len(meant):,}, such as `{missed[0]}`"
            yield sighting(SHALLOW, cite(source, number), f"`{word}` {files}")


def _patterns(line: str) -> list[str]:
    """Returns the words of a command that may be patterns, those with `**` as they are written."""
    bare = _QUOTED.sub(" ", line)
    deep = {match["pattern"] for match in _PATTERN.finditer(bare)}
    words = (word.removeprefix("./") for word in re.split(r"[\s;&|()]+", bare))
    known = (word for word in words if word in deep or ("*" in word and "**" not in word))
    return [word for word in known if not _SLOW.search(word)] if deep else []


def _expression(pattern: str, *, deep: bool) -> re.Pattern[str]:
    """Returns what a pattern matches: `**/` any folders where `deep`, else one."""
    parts = [
        "(?:(?!\\.)[^/]+/)*" if part == "**" and deep else _segment(part) + "/" for part in normpath(pattern).split("/")
    ]
    return re.compile("".join(parts).removesuffix("/"))


def _segment(part: str) -> str:
    hidden = "" if part.startswith(".") else r"(?!\.)"
    return hidden + "".join("[^/]*" if one.startswith("*") else re.escape(one) for one in re.split(r"(\*+)", part))
