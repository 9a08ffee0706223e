"""Tells commands that only read git's history from all others: codex takes apart reading, listing and searching, but not git."""

import re
import shlex

READING = frozenset(
    {
        "blame", "cat-file", "describe", "diff", "grep", "log", "ls-files", "ls-tree", "rev-list", "rev-parse", "shortlog", "show",
        "status",
    }
)  # fmt: skip
FILTERS = frozenset({"cat", "cut", "grep", "head", "sort", "tail", "uniq", "wc"})
WRITING = ("-o", "-O", "--output", "--open-files-in-pager", "--ext-diff", "--textconv")  # or starting a program
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_JOINT = re.compile(r"&&|\|")
_SPECIAL = frozenset("();<>&'\"")
_EXPANDED = frozenset("$`\\\n")  # within quotes, too


def only_reads_history(command: str) -> bool:
    """Returns whether a shell would do nothing but read git's history and filter what it says."""
    bare = [part.split() for part in _JOINT.split(_QUOTED.sub("Q", command))]
    if _EXPANDED & set(command) or any(_SPECIAL & set(word) for part in bare for word in part):
        return False
    if any(word.startswith(WRITING) for word in shlex.split(command)):
        return False
    return any(part[:1] == ["git"] for part in bare) and all(map(_only_reads, bare))


def _only_reads(part: list[str]) -> bool:
    return (part[:1] == ["git"] and part[1:2] != [] and part[1] in READING) or (part != [] and part[0] in FILTERS)
