"""Runs the scans that are asked for, says what they see, and ends in their facts and findings."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..reading.snapshot import Snapshot
from ..survey.finding import Finding, named
from ..voice import Voice
from .churn import scan_churn
from .dependencies import scan_dependencies
from .guidelines import scan_guidelines
from .instructions import find_instructions
from .rules_of_review import find_changed_rules
from .signals import scan_signals
from .subject import MAX_PROMPT_BYTES, Change, Subject, read_subject
from .tree import scan_languages, scan_tree

# A line of the dialect has at most 1 MiB, and JSON may write one character as six bytes.
MAX_RESULT_BYTES = 900 * 1024


def scan_changes(subject: Subject) -> dict[str, Any]:
    """Returns the changed files as the conductor told them."""
    return {
        "scope": subject.scope,
        "files": [_changed(change) for change in subject.changes],
        "left_out": subject.changes_left_out,
        "added": sum(change.added for change in subject.changes),
        "removed": sum(change.removed for change in subject.changes),
    }


SCANS: Mapping[str, Callable[[Subject], Any]] = {
    "tree": scan_tree,
    "languages": scan_languages,
    "changes": scan_changes,
    "churn": scan_churn,
    "dependencies": scan_dependencies,
    "signals": scan_signals,
    "guidelines": scan_guidelines,
}


def main(arguments: Sequence[str], *, root: Path | None = None, stream: TextIO | None = None) -> int:
    """Runs some scans over the current folder. The prompt tells what the run is about."""
    scans = list(dict.fromkeys(arguments[0].split(","))) if len(arguments) == 1 else []
    if not scans or any(scan not in SCANS for scan in scans):
        sys.stderr.write(f"usage: facts SCAN,…  (of {', '.join(SCANS)})\n")
        return 2
    subject = read_subject(Snapshot(root or Path.cwd()), _read_prompt(stream or sys.stdin))
    try:
        _tell(subject, scans, Voice(sys.stdout))
    except BrokenPipeError:
        # The reader is gone. The stream must not be flushed again when the interpreter ends.
        sys.stdout = None
        return 1
    return 0


def _read_prompt(stream: TextIO) -> str:
    try:
        return stream.read(MAX_PROMPT_BYTES)
    except (OSError, UnicodeDecodeError):
        return ""


def _tell(subject: Subject, scans: Sequence[str], voice: Voice) -> None:
    facts: dict[str, Any] = {}
    for scan in scans:
        voice.log(f"Scanning {scan} …")
        facts[scan] = SCANS[scan](subject)
    voice.log("Looking for texts that address agents, and for changes to what reviews go by …")
    findings = [*find_changed_rules(subject), *find_instructions(subject)]
    if unread := subject.snapshot.unjudged:
        subject.miss(f"{named(unread, 'file')} could not be read as text.")
    voice.answer(_summary(subject, scans, findings))
    voice.final(_bounded({**facts, "findings": [one.to_json() for one in findings], "notes": subject.notes}))


def _bounded(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the result, without its longest lists where no line could hold it."""
    for scan in ("changes", "guidelines", "dependencies", "churn"):
        if len(json.dumps(result)) <= MAX_RESULT_BYTES:
            break
        if isinstance(result.get(scan), dict):
            result[scan] = {**result[scan], "files": []}
        elif scan in result:
            result[scan] = []
        result["notes"] = [*result["notes"], f"The list of {scan} is left out: all facts together are too long."]
    return result


def _summary(subject: Subject, scans: Sequence[str], findings: Sequence[Finding]) -> str:
    lines = [f"Facts of {named(len(subject.snapshot.paths), 'file')}: {', '.join(scans)}."]
    lines += [f"- {finding.title}" for finding in findings]
    return "\n".join((*lines, *subject.notes)) + "\n"


def _changed(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "old_path": change.old_path,
        "status": change.status,
        "added": change.added,
        "removed": change.removed,
    }
