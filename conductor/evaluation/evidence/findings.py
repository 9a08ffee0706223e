"""Findings, their evidence, and the documents that hold them. `answers.results` reads them from what agents hand in."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_FINDINGS = 500
MAX_EVIDENCE = 20
MAX_PLACES = 500  # of a folded finding, with those of its evidence
MAX_CLAIM_CHARACTERS = 4000
MAX_LINE, MAX_LINE_CHARACTERS = 10_000_000, 20
MAX_NOTES = 20
SEVERITIES = ("critical", "high", "medium", "low", "info")
STATUSES = ("verified", "moved", "placed", "missing")
PROVEN = frozenset({"verified", "moved"})  # the quote was found
# Members of a finding's JSON that are left out where they are empty.
OPTIONAL = (
    "occurrence",
    "remedy",
    "rule",
    "help",
    "anchor",
    "fingerprint",
    "former_fingerprint",
    "outside_scope",
    "calibrated",
    "cause",
    "count",
    "total",
    "unlisted",
    "verdict",
    "verdict_reason",
    "rank",
)
LISTS = ("models", "contradicts", "more_places")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A place, and the text that is said to stand there. `reason` says why it was not found."""

    path: str
    start_line: int
    end_line: int
    quote: str
    status: str = ""
    actual_start_line: int = 0
    reason: str = ""

    @property
    def first_line(self) -> int:
        """Returns the line where the quote really begins; the cited one, unless it moved."""
        return self.actual_start_line or self.start_line

    @property
    def last_line(self) -> int:
        """Returns the line where the quote really ends."""
        return self.first_line + self.end_line - self.start_line

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON of the findings document."""
        value: dict[str, Any] = {
            "path": self.path,
            "start_line": self.start_line,
            "end_line": self.end_line,
            "quote": self.quote,
            "status": self.status,
        }
        if self.actual_start_line:
            value["actual_start_line"] = self.actual_start_line
        if self.reason:
            value["reason"] = self.reason
        return value


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim with its evidence. `status` is the worst of its evidence; without evidence it is missing.

    `rule` is the name of a tool's rule. `anchor` and `fingerprint` are made by `fingerprints`, `outside_scope` by `changed_places`.
    """

    severity: str
    title: str
    claim: str
    category: str
    evidence: tuple[Evidence, ...]
    step: str
    found_by: tuple[str, ...] = ()
    # Of findings that differ by their lines alone, such as `# TODO` twice in a file: how often the quote stands before.
    occurrence: int = 0
    remedy: str = ""
    rule: str = ""
    help: str = ""  # a link that explains the rule
    anchor: str = ""
    fingerprint: str = ""
    former_fingerprint: str = ""
    outside_scope: bool = False
    # A table of rules keeps its rule. Of one that it folded (see `folding`): its identity, the true number of its places, over a
    # change of those inside of it, and their number in all.
    calibrated: bool = False
    cause: str = ""
    count: int = 0
    total: int = 0
    # Of a folded one: the places behind its evidence, as `path:line`, and how many there are besides these.
    more_places: tuple[str, ...] = ()
    unlisted: int = 0
    # The distinct models that found it; an agent's name stands for one that asks no model.
    models: tuple[str, ...] = ()
    # After a merge: a sceptic's verdict with its own quotes, the ids of findings that say the opposite, and its place in the order.
    verdict: str = ""
    verdict_reason: str = ""
    verdict_evidence: tuple[Evidence, ...] = ()
    contradicts: tuple[str, ...] = ()
    rank: int = 0

    @property
    def id(self) -> str:
        """Returns an id that is the same in every run, for the same claim at the same place, wherever its lines have moved to."""
        if self.cause:
            return hashlib.sha256(f"cause\0{self.cause}".encode()).hexdigest()[:16]
        path, quote = (self.evidence[0].path, self.evidence[0].quote.strip()) if self.evidence else ("", "")
        text = f"{self.category}\0{self.title}\0{path}\0{quote}" + (f"\0{self.occurrence}" if self.occurrence else "")
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def status(self) -> str:
        """Returns how its citations were judged."""
        return max((evidence.status for evidence in self.evidence), key=STATUSES.index, default="missing")

    @property
    def finders(self) -> tuple[str, ...]:
        """Returns the steps that found it: before a merge its own."""
        return self.found_by or (self.step,)

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON of the findings document."""
        value: dict[str, Any] = {
            "id": self.id,
            "severity": self.severity,
            "title": self.title,
            "claim": self.claim,
            "category": self.category,
            "status": self.status,
            "step": self.step,
            "found_by": list(self.finders),
            "evidence": [evidence.as_json() for evidence in self.evidence],
        }
        optional = {name: getattr(self, name) for name in OPTIONAL} | {
            name: list(getattr(self, name)) for name in LISTS
        }
        optional["verdict_evidence"] = [place.as_json() for place in self.verdict_evidence]
        optional["corroborations"] = len(self.models)
        return value | {name: content for name, content in optional.items() if content}


_BLANK = {field.name: field.default for field in fields(Finding) if field.name in OPTIONAL}
_BLANK_EVIDENCE = {"actual_start_line": 0, "reason": ""}


def spell_out(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a finding of a document with every member, as expressions and templates see it: an absent one is empty."""
    lists: dict[str, Any] = {name: [] for name in (*LISTS, "verdict_evidence")}
    evidence = [_BLANK_EVIDENCE | place for place in finding["evidence"]]
    return {**_BLANK, **lists, "corroborations": 0, **finding, "evidence": evidence}


@dataclass(frozen=True, slots=True)
class Found:
    """Findings, and how many were left out. `notes` are sentences for people, at most `MAX_NOTES`.

    `unread`: there should be findings, and none could be read, which does not mean that there are none.
    """

    findings: tuple[Finding, ...]
    left_out: int = 0
    notes: tuple[str, ...] = ()
    unread: bool = False
    unjudged: int = 0  # files that its agent should have judged, and could not
    unjudged_files: tuple[str, ...] = ()  # of these, the first that it names; they are not kept
    coverage: tuple[dict[str, Any], ...] = ()  # of each step that told some (see `answers.coverage`)

    def as_json(self) -> dict[str, Any]:
        """Returns the findings document."""
        value: dict[str, Any] = {"findings": [finding.as_json() for finding in self.findings]}
        if self.left_out:
            value["left_out"] = self.left_out
        if self.notes:
            value["notes"] = list(self.notes)
        if self.unread:
            value["unread"] = True
        if self.unjudged:
            value["unjudged"] = self.unjudged
        if self.coverage:
            value["coverage"] = list(self.coverage)
        return value


def count(findings: Iterable[Finding]) -> dict[str, int]:
    """Counts findings by how they were judged."""
    counts = dict.fromkeys(STATUSES, 0)
    for finding in findings:
        counts[finding.status] += 1
    return counts


def tell_apart(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns judged findings, each with an id of its own. Of two with one claim and the same places the first is kept."""
    kept: dict[str, Finding] = {}
    for finding in findings:
        told, same = finding, kept.get(finding.id)
        if same is not None and _place(same) != _place(finding):
            # A quote that cannot be counted in its file, as one that stands nowhere, is told apart by its line.
            told = replace(finding, occurrence=MAX_LINE + _place(finding)[0])
            same = kept.get(told.id)
        if same is not None and _said(same) != _said(finding):
            number = int(hashlib.sha256(repr(_said(finding)).encode()).hexdigest(), 16) % 1_000_000_000
            told = replace(finding, occurrence=2 * MAX_LINE + number)
        kept.setdefault(told.id, told)
    return tuple(kept.values())


def _said(finding: Finding) -> tuple[object, ...]:
    """Returns what tells findings with one title and first place apart: how grave they are, and their other places."""
    places = [
        (item.path, item.first_line, item.end_line - item.start_line, item.quote.strip()) for item in finding.evidence
    ]
    return finding.severity, places


def _place(finding: Finding) -> tuple[int, int]:
    """Returns where a finding stands: its line, and how many follow."""
    for first in finding.evidence[:1]:
        return first.first_line, first.end_line - first.start_line
    return 0, 0


def read_document(document: dict[str, Any]) -> tuple[Finding, ...]:
    """Returns the findings of a document that was checked before."""
    return tuple(_from_document(value) for value in document["findings"])


def line_number(value: Any) -> int:
    """Returns a line's number, also of digits in a string; 0 for any other value. JSON from a Struct has doubles."""
    if isinstance(value, str) and len(value) <= MAX_LINE_CHARACTERS and value.strip().isascii():
        value = int(value) if value.strip().isdigit() else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        return 0
    return int(value) if 1 <= value <= MAX_LINE else 0


def read_judged(values: Any) -> tuple[Evidence, ...]:
    """Returns the places of a list that were judged before; others are left out."""
    listed = values[:MAX_EVIDENCE] if isinstance(values, list) else []
    return tuple(_judged_place(value) for value in listed if _is_judged(value))


def _is_judged(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("status") not in STATUSES:
        return False
    return isinstance(value.get("path"), str) and isinstance(value.get("quote"), str)


def _judged_place(value: dict[str, Any]) -> Evidence:
    start = line_number(value.get("start_line"))
    return Evidence(
        path=value["path"],
        start_line=start,
        end_line=max(start, line_number(value.get("end_line"))),
        quote=value["quote"],
        status=value["status"],
        actual_start_line=value.get("actual_start_line", 0),
        reason=value.get("reason", ""),
    )


def _from_document(value: dict[str, Any]) -> Finding:
    return Finding(
        value["severity"],
        value["title"],
        value["claim"],
        value["category"],
        tuple(map(_judged_place, value["evidence"])),
        value["step"],
        tuple(value["found_by"]),
        **{name: value[name] for name in OPTIONAL if name in value},
        models=tuple(value.get("models", ())),
        contradicts=tuple(value.get("contradicts", ())),
        more_places=tuple(value.get("more_places", ())),
        verdict_evidence=read_judged(value.get("verdict_evidence")),
    )
