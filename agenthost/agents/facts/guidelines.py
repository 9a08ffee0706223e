"""Scan `guidelines`: what the repository tells contributors, as data for reviewers.

In a comparison a changed guideline counts as it was in the base: a branch must not choose the rules that it is judged by. That it
changes them is a finding (see `rules_of_review`).
"""

import re
from typing import Any

from ..files import as_told
from .subject import Subject

MAX_GUIDELINES = 20
MAX_CHARACTERS_EACH = 12_000
MAX_CHARACTERS = 40_000
# The conductor has the same, in `snapshots.scopes.guidelines`.
_NAME = re.compile(
    r"(^|/)(AGENTS|CLAUDE|GEMINI)\.md$|^(\.github/|docs/)?CONTRIBUTING(\.(md|rst|txt|adoc))?$"
    r"|^\.github/copilot-instructions\.md$|^\.cursorrules$|^\.cursor/rules/[^/]+$"
)


def is_guideline(path: str) -> bool:
    """Returns whether a file tells people or agents how to work on the repository."""
    return bool(_NAME.search(path))


def scan_guidelines(subject: Subject) -> list[dict[str, Any]]:
    """Returns the guidelines, those nearest to the top first, cut where they are long."""
    texts = {path: text for path in subject.snapshot.paths if is_guideline(path) and (text := _present(subject, path))}
    texts |= {path: text for path, text in subject.base_guidelines.items() if text}
    found: list[dict[str, Any]] = []
    room = MAX_CHARACTERS
    for path in sorted(texts, key=lambda path: (path.count("/"), path)):
        kept = texts[path][: min(MAX_CHARACTERS_EACH, room)]
        if not kept or len(found) == MAX_GUIDELINES:
            subject.miss(f"guidelines: {path} and what follows it are left out.")
            break
        room -= len(kept)
        is_base = path in subject.base_guidelines
        found.append({"path": path, "text": kept, "cut": len(kept) < len(texts[path]), "of_base": is_base})
    return found


def _present(subject: Subject, path: str) -> str:
    """Returns a guideline of the snapshot; nothing of one that the run's changes brought."""
    if subject.is_compared and (path in subject.changed or as_told(path) in subject.base_guidelines):
        return ""
    source = subject.read(path)
    return source.text if source else ""
