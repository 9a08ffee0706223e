"""Gathers what the scans look at: the snapshot, what the run is about, and a voice for what cannot be told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..files import as_told, is_vendored
from ..reading.snapshot import Snapshot, SourceText

MAX_PROMPT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Change:
    """A changed file: its lines are ranges from 1, inclusive; None where they are not known."""

    path: str
    status: str
    old_path: str = ""
    added: int = 0
    removed: int = 0
    ranges: tuple[tuple[int, int], ...] | None = None

    def holds(self, line: int) -> bool:
        """Returns whether the snapshot's line is one that changed, as far as that is known."""
        return self.ranges is None or any(first <= line <= last for first, last in self.ranges)


@dataclass(frozen=True)
class Subject:
    """One snapshot, and the scope of the run that reads it."""

    snapshot: Snapshot
    scope: str = "whole"
    paths: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    changes_left_out: int = 0
    base_guidelines: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_compared(self) -> bool:
        """Returns whether the run is about changes only."""
        return self.scope != "whole"

    @cached_property
    def in_scope(self) -> tuple[str, ...]:
        """Returns the files that the run is about, without vendored ones."""
        is_in = self.changed.__contains__ if self.is_compared else self._is_narrowed
        return tuple(path for path in self.snapshot.paths if is_in(path) and not is_vendored(path))

    @cached_property
    def changed(self) -> Mapping[str, str]:
        """Returns the names of the changed files that the snapshot holds, and how the conductor tells each."""
        told = frozenset(change.path for change in self.changes)
        return {path: name for path in self.snapshot.paths if (name := as_told(path)) in told}

    def read(self, path: str) -> SourceText | None:
        """Returns the text of a file of the snapshot."""
        return self.snapshot.read(path)

    def read_changed(self, change: Change) -> SourceText | None:
        """Returns the text of a changed file, under its own name."""
        return self.read(self._names.get(change.path, change.path))

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {told: path for path, told in self.changed.items()}

    def miss(self, sentence: str) -> None:
        """Notes what is not told."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _is_narrowed(self, path: str) -> bool:
        return not self.paths or any(path == one or path.startswith(f"{one}/") for one in self.paths)


def count_lines(source: SourceText) -> int:
    """Returns the number of lines; the text behind the last newline is one only where it is not empty."""
    return len(source.lines) - (source.lines[-1:] == ("",))


def read_subject(snapshot: Snapshot, prompt: str) -> Subject:
    """Returns the subject that a prompt describes; one over all of the snapshot where it is no such object."""
    try:
        # Behind it stands the form of the result, as for every agent.
        told, _ = json.JSONDecoder().raw_decode(prompt.strip()) if prompt.strip() else ({}, 0)
        return _described(snapshot, told if isinstance(told, dict) else {})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Subject(
            snapshot, notes=["The prompt is not what this agent reads, so these are facts of the whole snapshot."]
        )


def _described(snapshot: Snapshot, told: dict[str, Any]) -> Subject:
    return Subject(
        snapshot,
        str(told.get("scope", "whole")),
        tuple(map(str, told.get("paths", ()))),
        tuple(map(_change, told.get("changes", ()))),
        int(told.get("left_out", 0)),
        {str(one["path"]): str(one["text"]) for one in told.get("base_guidelines", ())},
    )


def _change(told: dict[str, Any]) -> Change:
    ranges = None if told["partial"] else tuple((start, start + lines - 1) for start, lines in told["ranges"] if lines)
    return Change(told["path"], told["status"], told["old_path"], told["added"], told["removed"], ranges)
