"""Takes the scripts of `run:` out of workflows and composite actions of GitHub: those for Bash or a POSIX shell.

GitHub pastes the value of `${{ … }}` into the text before the shell reads it. In its place stands a variable that every shell
sets, to one word: a tool neither takes it for a fixed text, nor complains that it is not set or not quoted.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate

from ...reading import yaml_tree
from ...reading.yaml_tree import Node, child, entries, items, line, text
from .block import Block, Extract, UnreadableError

STAND_IN = "${PPID}"
UNKNOWN = f"is no YAML that can be read, or has more than {yaml_tree.MAX_CHARACTERS:,} characters"
NO_PARSER = "cannot be read: the host has no PyYAML beside its Python packages"
_EXPRESSION = re.compile(r"\$\{\{(?:[^'}]|'[^']*'|\}(?!\}))*+\}\}")
_SHELLS = frozenset({"sh", "bash", "dash", "ksh"})
_ONLY_WINDOWS = re.compile(r"(?:==|startsWith|contains)[^&|!]*windows", re.IGNORECASE)
_ELSEWHERE = re.compile(r"ubuntu|linux|macos", re.IGNORECASE)
_DEFAULT, _ON_WINDOWS = "bash -e {0}", "pwsh"
# What GitHub makes of a shell's name.
_COMMANDS = {
    "bash": "bash --noprofile --norc -eo pipefail {0}",
    "sh": "sh -e {0}",
    "msys2 {0}": "bash --noprofile --norc -leo pipefail {0}",
}


def read(document: str) -> Extract:
    """Returns the scripts of a workflow, or of an action."""
    if not yaml_tree.is_available():
        raise UnreadableError(NO_PARSER)
    root = yaml_tree.parse(document)
    if root is None and document.strip():
        raise UnreadableError(UNKNOWN)
    extract = Extract()
    lines = document.split("\n")
    known: set[int] = set()  # a node with many aliases is read once
    for step, default in _steps(root, lines):
        script = child(step, "run")
        if not text(script) or id(script) in known:
            continue
        known.add(id(script))
        command = text(child(step, "shell")) or default
        shell = _shell(command)
        if shell:
            extract.blocks.append(_block(script, lines, shell))
        else:
            extract.others[command.split()[0][:20] if "$" not in command else "chosen at run time"] += 1
    return extract


def _steps(root: Node, lines: list[str]) -> Iterator[tuple[Node, str]]:
    """Yields each step, with the shell that it has by default."""
    for step in items(child(root, "runs", "steps")):
        yield step, _DEFAULT
    whole = text(child(root, "defaults", "run", "shell"))
    for _, _, job in entries(child(root, "jobs")):
        default = text(child(job, "defaults", "run", "shell")) or whole
        is_windows = _is_windows(job, lines)
        for step in items(child(job, "steps")):
            is_there_only = is_windows or _ONLY_WINDOWS.search(text(child(step, "if")))
            yield step, default or (_ON_WINDOWS if is_there_only else _DEFAULT)


def _is_windows(job: Node, lines: list[str]) -> bool:
    """Tells whether a job runs on Windows only, by its runner or by the matrix that the runner comes from."""
    named = "\n".join(
        part
        for node in (child(job, "runs-on"), child(job, "strategy"))
        if node is not None
        for part in lines[line(node) - 1 : yaml_tree.last_line(node)]
    )
    return "windows" in named.lower() and not _ELSEWHERE.search(named)


def _shell(command: str) -> str:
    """Returns the first line of a script for a shell's command; nothing for one that the tool does not know."""
    words = _COMMANDS.get(command, command).split()
    name = words[0].rpartition("/")[2] if words else ""
    if name not in _SHELLS or "$" in command:
        return ""
    options = [word for word in words[1:] if word.startswith("-") and not word.startswith("--")]
    ends_at_errors = any("e" in word for word in options)
    pipes_fail = "pipefail" in words and any(word.endswith("o") for word in options)
    return f"#!/bin/{name}{' -e' if ends_at_errors else ''}\n{'set -o pipefail' if pipes_fail else ''}\n"


def _block(script: Node, lines: list[str], head: str) -> Block:
    body = _EXPRESSION.sub(lambda match: STAND_IN + "\\\n" * match[0].count("\n"), text(script))
    return Block(body, tuple(_lines(script, text(script), lines)), head)


def _lines(script: Node, value: str, lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yields the first and the last line of the file for each line of a script."""
    first, last = line(script), yaml_tree.last_line(script)
    if script.style == "|":
        yield from ((first + number, first + number) for number, _ in enumerate(value.split("\n"), 1))
    elif script.style == ">":
        yield from _folded(value, lines, first + 1, 0)
    elif script.style is None:
        yield from _folded(value, lines, first, int(script.start_mark.column))
    else:  # in quotes, a character may be written as several
        yield from ((first, last) for _ in value.split("\n"))


def _folded(value: str, lines: list[str], first: int, column: int) -> Iterator[tuple[int, int]]:
    """Yields them for text whose lines YAML joins: it changes white space only, so that counting the rest tells them apart."""
    sources = [lines[first - 1][column:], *lines[first:]]
    ends = list(accumulate(len("".join(source.split())) for source in sources))
    done = 0
    for part in value.split("\n"):
        size = len("".join(part.split()))
        begin = first + min(bisect_right(ends, done), len(ends) - 1)
        done += size
        yield begin, first + min(bisect_left(ends, done), len(ends) - 1) if size else begin
