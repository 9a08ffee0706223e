"""Takes the scripts of `run:` out of workflows and composite actions of GitHub: those for Bash or a POSIX shell.

GitHub pastes the value of `${{ … }}` into the text before the shell reads it. In its place stands a variable that every shell
sets, to one word: a tool neither takes it for a fixed text, nor complains that it is not set or not quoted.
"""

import re
from collections.abc import Sequence

from ...reading import yaml_tree
from ...reading.snapshot import SourceText
from ...reading.workflows import Job, Workflow, read_workflow, script_lines
from ...reading.yaml_tree import Node, child, line, text
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
    source = SourceText("", document, tuple(document.split("\n")))
    workflow = read_workflow(source)
    extract = Extract()
    if workflow is None:
        if document.strip():
            raise UnreadableError(UNKNOWN)
        return extract
    known: set[int] = set()  # a script with many aliases is read once
    for job in workflow.jobs:
        for step in job.steps:
            script = child(step.node, "run")
            if text(script) and id(script) not in known:
                known.add(id(script))
                command = text(child(step.node, "shell")) or _default(workflow, job, step.node)
                _take(extract, script, source.lines, command)
    return extract


def _take(extract: Extract, script: Node, lines: Sequence[str], command: str) -> None:
    if head := _head(command):
        body = _EXPRESSION.sub(lambda match: STAND_IN + "\\\n" * match[0].count("\n"), text(script))
        extract.blocks.append(Block(body, tuple(script_lines(script, lines)), head))
    else:
        extract.others["chosen at run time" if "$" in command else command.split(maxsplit=1)[0][:20]] += 1


def _default(workflow: Workflow, job: Job, step: Node) -> str:
    """Returns the shell of a step that names none: PowerShell, where it runs on Windows only."""
    shells = (text(child(node, "defaults", "run", "shell")) for node in (job.node, workflow.root))
    runners = [node for node in (child(job.node, "runs-on"), child(job.node, "strategy")) if node is not None]
    lines = workflow.source.lines
    named = "\n".join(part for node in runners for part in lines[line(node) - 1 : yaml_tree.last_line(node)])
    is_windows = "windows" in named.lower() and not _ELSEWHERE.search(named)
    is_there_only = is_windows or _ONLY_WINDOWS.search(text(child(step, "if")))
    return next(filter(None, shells), _ON_WINDOWS if is_there_only else _DEFAULT)


def _head(command: str) -> str:
    """Returns what stands before a script for a shell's command; nothing where the tool does not know that shell."""
    words = _COMMANDS.get(command, command).split()
    name = words[0].rpartition("/")[2] if words else ""
    if name not in _SHELLS or "$" in command:
        return ""
    options = [word for word in words[1:] if word.startswith("-") and not word.startswith("--")]
    ends_at_errors = any("e" in word for word in options)
    pipes_fail = "pipefail" in words and any(word.endswith("o") for word in options)
    return f"#!/bin/{name}{' -e' if ends_at_errors else ''}\n{'set -o pipefail' if pipes_fail else ''}\n"
