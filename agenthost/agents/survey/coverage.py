"""Counts which files a lens judged, and which of those that it answers for it could not judge."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..files import language
from .finding import Finding


class Coverage:
    """The files of one lens. A file counts as judged if at least one detector judged it."""

    def __init__(self) -> None:
        self._expected: dict[str, str] = {}
        self._judged: set[str] = set()

    def expect(self, paths: Iterable[str]) -> None:
        """Notes files that a detector answers for: skipped ones, until they are judged."""
        for path in paths:
            self._expected.setdefault(path, language(path))

    def judge(self, path: str) -> None:
        """Notes that a detector read and understood a file."""
        self.expect([path])
        self._judged.add(path)

    @property
    def skipped(self) -> frozenset[str]:
        """Returns the files that no detector could judge."""
        return frozenset(self._expected.keys() - self._judged)

    def to_json(self, tool: str, findings: Iterable[Finding]) -> dict[str, Any]:
        """Returns the shape that lenses and analyzers share."""
        return {
            "tool": tool,
            "judged": self._by_language(self._judged),
            "skipped": self._by_language(self.skipped),
            "rules": dict(sorted(Counter(finding.rule for finding in findings if finding.rule).items())),
        }

    def _by_language(self, paths: Iterable[str]) -> dict[str, int]:
        return dict(sorted(Counter(self._expected[path] for path in paths).items()))
