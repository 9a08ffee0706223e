"""Tells findings about what a run is about from those that lie elsewhere: in no changed range, or outside the paths that narrow it.

A finding belongs to the scope if one of its places does. A place is where the quote really stands. A finding that may be inside is
never marked as outside: a file whose ranges are not known in full counts as changed everywhere, and so does a binary or deleted
one, one under its former name, and one that may be among those that the list left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from conductor.evaluation.evidence.findings import MAX_LINE, Evidence, Finding, Found
from conductor.evaluation.evidence.fingerprints import follow, primary


class ChangedPlaces:
    """The places of a run's scope. `snapshot` is as expressions see it."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self._paths: Sequence[str] = snapshot["paths"]
        self._is_compared = snapshot["scope"] != "whole"
        self._may_be_more = bool(snapshot["left_out"])
        self._files: dict[str, list[tuple[int, int]] | None] = {}
        self._former: dict[str, str] = {}
        for file in snapshot["changes"]:
            # Two files may be shown under one name: `a\nb`, and one with a newline there. Neither hides the other.
            is_all = file["partial"] or file["binary"] or file["status"] == "deleted" or file["path"] in self._files
            self._files[file["path"]] = None if is_all else [_range(hunk) for hunk in file["hunks"]]
            if file["old_path"]:
                self._former[file["path"]] = file["old_path"]
                self._files.setdefault(file["old_path"], None)

    @property
    def _is_everywhere(self) -> bool:
        return not (self._is_compared or self._paths)

    def count_unjudged(self, found: Found) -> int:
        """Returns how many files that the run is about were not judged: without those that are named, and are none of it."""
        if self._is_everywhere:
            return found.unjudged
        whole = (Evidence(path, 1, MAX_LINE, "") for path in dict.fromkeys(found.unjudged_files))
        return max(0, found.unjudged - sum(not self._holds(place) for place in whole))

    def mark(self, finding: Finding) -> Finding:
        """Returns the finding, which says so where it is outside, with its former fingerprint where its file was renamed."""
        if self._is_everywhere or not finding.evidence:
            return finding
        is_outside = not any(map(self._holds, finding.evidence))
        return replace(finding, outside_scope=is_outside, former_fingerprint=self._former_fingerprint(finding))

    def _former_fingerprint(self, finding: Finding) -> str:
        """Returns the fingerprint under the name that the finding's file had at the base; empty where it kept its name."""
        place = primary(finding)
        former = self._former.get(_shown(place.path), "") if place is not None else ""
        return follow(finding.anchor, former) if former and finding.anchor else ""

    def _holds(self, place: Evidence) -> bool:
        path = _shown(place.path)
        if self._paths and not any(_is_at(path, _shown(one)) for one in self._paths):
            return self._is_compared and path in self._files  # a file that was renamed out of these paths is listed
        if not self._is_compared:
            return True
        if path not in self._files:
            return self._may_be_more
        ranges = self._files[path]
        return ranges is None or any(begin <= place.last_line and place.first_line <= end for begin, end in ranges)


def _range(hunk: Mapping[str, int]) -> tuple[int, int]:
    """Returns the lines of a changed range; around lines that are gone, those before and behind."""
    start, lines = hunk["start"], hunk["lines"]
    return (start, start + lines - 1) if lines else (start, start + 1)


def _is_at(path: str, scope: str) -> bool:
    return path == scope or path.startswith(f"{scope}/")


def _shown(path: str) -> str:
    """Returns a path as the list of changed files has it (see `snapshots.reading.entries.shown`)."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in path)
