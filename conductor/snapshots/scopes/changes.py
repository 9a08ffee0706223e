"""The changes between a base and a snapshot, as the facts of a run: a JSON document in a blob of their own.

    {"files": [{"path", "old_path", "status", "added", "removed", "binary", "submodule", "mode_changed", "partial",
                "hunks": [{"start", "lines", "old_start", "old_lines", "text"}]}],
     "files_left_out": 0, "notes": [], "guidelines": [{"path", "text"}]}

Paths are text as everywhere (see `entries.shown`). A hunk's `start` and `lines` are the diff's: without lines, the change stands
behind line `start`. `partial` tells that hunks of this file are left out, or unknown. `guidelines` are those that changed, also
outside of the caller's paths, as the base has them: without a text where it has none. Everything is bounded; `notes` say what is
left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conductor.core.model.plan import ChangedFile

MAX_FILES = 1000
MAX_TEXT_CHARACTERS = 256 * 1024
MAX_NAMED_FILES = 100


@dataclass(slots=True)
class Hunk:
    """A changed range: of the base (`old_`), and of the snapshot."""

    old_start: int
    old_lines: int
    start: int
    lines: int
    text: str = ""


@dataclass(slots=True)
class FileChange:
    """A changed file. `path` is its name now; `old_path` is given where it had another. `cut_hunks` are those beyond `hunks`."""

    path: str
    status: str
    old_path: str = ""
    submodule: bool = False
    mode_changed: bool = False
    binary: bool = False
    partial: bool = False
    added: int = 0
    removed: int = 0
    hunks: list[Hunk] = field(default_factory=list)
    cut_hunks: int = 0

    def named(self) -> ChangedFile:
        """Returns it without its hunks."""
        return ChangedFile(
            self.path, self.status, self.old_path, self.added, self.removed, self.binary, self.mode_changed
        )


def encode_changes(files: Sequence[FileChange], notes: Sequence[str], guidelines: Mapping[str, str]) -> bytes:
    """Returns the document, with as much as fits into its limits."""
    kept = files[:MAX_FILES]
    told = list(notes)
    if left_out := len(files) - len(kept):
        told.append(f"{left_out} of {len(files)} changed files are left out of the list")
    characters = MAX_TEXT_CHARACTERS
    values, cut_texts = [], 0
    for file in kept:
        listed = []
        for hunk in file.hunks:
            has_room = len(hunk.text) <= characters
            characters -= len(hunk.text) if has_room else 0
            cut_texts += not has_room
            listed.append(_hunk(hunk, with_text=has_room))
        values.append(_file(file, listed))
    if cut_hunks := sum(file.cut_hunks for file in kept):
        told.append(f"{cut_hunks} changed ranges are left out of the list")
    if cut_texts:
        told.append(f"the texts of {cut_texts} changed ranges are left out")
    texts = [{"path": path, "text": text} for path, text in sorted(guidelines.items())]
    document = {"files": values, "files_left_out": left_out, "notes": told, "guidelines": texts}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(errors="replace")


def _file(file: FileChange, hunks: list[dict[str, object]]) -> dict[str, object]:
    return {
        "path": file.path,
        "old_path": file.old_path,
        "status": file.status,
        "added": file.added,
        "removed": file.removed,
        "binary": file.binary,
        "submodule": file.submodule,
        "mode_changed": file.mode_changed,
        "partial": file.partial,
        "hunks": hunks,
    }


def _hunk(hunk: Hunk, *, with_text: bool) -> dict[str, object]:
    return {
        "start": hunk.start,
        "lines": hunk.lines,
        "old_start": hunk.old_start,
        "old_lines": hunk.old_lines,
        "text": hunk.text if with_text else "[The text of this range is left out.]",
    }
