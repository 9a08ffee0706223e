"""Defines a finding with verbatim evidence, in the shape of the findings contract.

It does not check quotes: evidence is only made from the text it is cut from. Titles, severities, reasons and remedies of a lens's
rules are in the table of the flow (flows/survey/rules.toml): a lens tells the rule, the place, and the few words that vary.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..reading.snapshot import SourceText

MAX_QUOTE_CHARACTERS = 4000
MAX_QUOTE_LINES = 12
MAX_EVIDENCE = 20
MAX_TITLE_CHARACTERS = 160


class Severity(StrEnum):
    """The importance of a finding, where its rule has no entry in a table."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A place in the snapshot, and the exact text that stands there."""

    path: str
    start_line: int
    end_line: int
    quote: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth a maintainer's time. `rule` is the same in every release: baselines know a finding by it."""

    rule: str
    title: str
    evidence: tuple[Evidence, ...]
    claim: str = ""
    remedy: str = ""
    severity: Severity = Severity.LOW
    category: str = ""

    def to_json(self, category: str = "") -> dict[str, Any]:
        """Returns the shape of the findings contract; the conductor computes the id."""
        return {
            "id": "",
            "severity": self.severity.value,
            "title": shorten(" ".join(self.title.split()), MAX_TITLE_CHARACTERS),
            "claim": self.claim or f"{self.title}.",
            "category": self.category or category,
            "remedy": self.remedy,
            "rule": self.rule,
            "evidence": [
                {"path": item.path, "start_line": item.start_line, "end_line": item.end_line, "quote": item.quote}
                for item in self.evidence[:MAX_EVIDENCE]
            ],
        }


def sighting(rule: str, place: Evidence | None, title: str) -> Finding:
    """Returns a finding of one place; one without a place is left out at the end."""
    return Finding(rule, title, (place,) if place else ())


def cite(source: SourceText, start_line: int, end_line: int | None = None) -> Evidence | None:
    """Quotes lines of a file (counted from 1) verbatim, fewer where they would be too long; None where nothing can be quoted."""
    first = max(start_line, 1)
    last = min(end_line or first, first + MAX_QUOTE_LINES - 1, len(source.lines))
    chosen = list(source.lines[first - 1 : last])
    while len(chosen) > 1 and (not chosen[-1].strip() or sum(map(len, chosen)) + len(chosen) > MAX_QUOTE_CHARACTERS):
        chosen.pop()
    quote = "\n".join(chosen)
    if not quote.strip() or len(quote) > MAX_QUOTE_CHARACTERS:
        return None
    return Evidence(source.path, first, first + len(chosen) - 1, quote)


def shorten(text: str, limit: int) -> str:
    """Cuts what is longer than the limit, and shows that it did."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def named(count: int, one: str, many: str = "") -> str:
    """Returns a number with its noun: `1 file`, `2 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
