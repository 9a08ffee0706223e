"""Scan `churn`: the files that changed most in the newest part of the history."""

from collections import Counter
from typing import Any

from ..reading.history import read_history
from ..survey.hotspots.lens import recent
from .subject import Subject

MAX_FILES = 50


def scan_churn(subject: Subject) -> dict[str, Any]:
    """Returns how many commits were looked at, and the files that most of them changed."""
    history = read_history()
    if history.absence:
        subject.miss(f"churn: {history.absence}.")
        return {"commits": 0, "files": []}
    commits = recent(history.commits)
    count, lines = Counter[str](), Counter[str]()
    for commit in commits:
        for change in commit.changes:
            if change.path in subject.snapshot.sizes:
                count[change.path] += 1
                lines[change.path] += change.added + change.removed
    busiest = sorted(count, key=lambda path: (-count[path], -lines[path], path))[:MAX_FILES]
    return {
        "commits": len(commits),
        "files": [{"path": path, "commits": count[path], "lines": lines[path]} for path in busiest],
    }
