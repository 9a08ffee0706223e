"""Chooses the files of the snapshot that an analyzer is given: by names, or by the interpreter that their first line names.

Files that come from elsewhere, or that a tool wrote, are counted and not given. Links are never followed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..files import interpreter, is_generated, is_vendored, language
from ..reading.snapshot import MAX_FILE_BYTES, TOO_LARGE, UNJUDGED, UNREADABLE, Snapshot, read_bytes

HEAD_BYTES = 16 * 1024
NO_KIND = "other files"


@dataclass
class Selection:
    """The files of one analyzer, with their kinds, and those that it is not given."""

    kinds: dict[str, str] = field(default_factory=dict)  # of the files that it is given, by path
    unread: dict[str, str] = field(default_factory=dict)  # why it is not given others, by path
    others: Counter[str] = field(default_factory=Counter)  # vendored and generated ones
    gaps: int = 0  # folders and files of which not even the names are known

    @property
    def paths(self) -> list[str]:
        """Returns the files that it is given, in order."""
        return sorted(self.kinds)


def select(root: Path, patterns: Sequence[str]) -> Selection:
    """Returns the files below a folder that one of the patterns names; without patterns there are none."""
    snapshot = Snapshot(root)
    selection = Selection(gaps=sum(reason in UNJUDGED for reason in snapshot.left_out.values()))
    names = [pattern.lower() for pattern in patterns if not pattern.startswith("#!")]
    interpreters = {pattern[2:].strip().lower() for pattern in patterns if pattern.startswith("#!")}
    for path in snapshot.paths:
        is_named = _is_named(path.lower(), names)
        if not is_named and not (interpreters and _may_have_shebang(path)):
            continue
        if is_vendored(path):
            selection.others["vendored"] += is_named
            continue
        head = head_of(root / path)
        first_line = (head or "").split("\n", 1)[0]
        if not is_named and interpreter(first_line) not in interpreters:
            continue
        _place(selection, path, language(path, first_line) or NO_KIND, head, snapshot.sizes[path])
    return selection


def _place(selection: Selection, path: str, kind: str, head: str | None, size: int) -> None:
    if reason := _why_unread(path, head, size):
        selection.unread[path] = reason
    elif is_generated((head or "").split("\n"), path):
        selection.others["generated"] += 1
    else:
        selection.kinds[path] = kind


def _why_unread(path: str, head: str | None, size: int) -> str:
    """Returns why no tool is given a file, as it follows `files`; empty for others."""
    # A line break makes two lines of one in the output of a tool, and JSON holds text only.
    if any(character < " " or "\ud800" <= character <= "\udfff" for character in path):
        return "with names that are no plain text"
    return UNREADABLE if head is None else TOO_LARGE if size > MAX_FILE_BYTES else ""


def _is_named(path: str, patterns: Sequence[str]) -> bool:
    """Returns whether a pattern names a path: with a slash it is one of paths, else one of names."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def _may_have_shebang(path: str) -> bool:
    kind = language(path)
    return not kind or kind.startswith(".")


def head_of(path: Path) -> str | None:
    """Returns the beginning of a file; None where it cannot be read."""
    content = read_bytes(path, HEAD_BYTES)
    return None if content is None else content.decode(errors="replace")
