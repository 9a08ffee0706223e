"""Tells what a tool found over all of its batches: findings, counts by rule, and what was not judged.

Of a tool at most `MAX_FINDINGS` results become findings, shared out among its rules: the first of each before the second of any.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..files import language, listed, spelt
from .judging import Judge
from .results import Result
from .sarif.values import Rule
from .selection import NO_KIND, Selection
from .settings import Settings
from .taking import MAX_PLACES, Taken, Told
from .wording import link, over, plain, short, unjudged

MAX_FINDINGS = 500
MAX_COUNTED_RULES = 500  # in the coverage
MAX_NOTES = 20
MAX_OTHER_BLOCKS = 6
MAX_NOTE_CHARACTERS = 480
MAX_RESULT_BYTES = 900 * 1024
MAX_TITLE_CHARACTERS = 160
MAX_CLAIM_CHARACTERS = 1500
MAX_RULE_CHARACTERS = 90
MAX_TOP_RULES = 10
_SEVERITIES = {"error": "high", "warning": "medium", "note": "low", "none": "info"}
_BANDS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"))  # of `security-severity`, as code hosts read it
_CATEGORIES = {
    "Dockerfile": "containers",
    "GitHub workflow": "workflows",
    "GitHub action": "workflows",
    "TypeScript": "javascript",
    "Markdown": "documents",
    # Of these only manifests are read, by rules of our own.
    **dict.fromkeys((".mod", ".properties", "TOML", "Text", "JSON"), "dependencies"),
}


class Tally:
    """All that one tool said."""

    def __init__(self, settings: Settings, selection: Selection, judge: Judge) -> None:
        self._settings, self._selection, self._judge = settings, selection, judge
        self._told: dict[str, list[Told]] = {}
        self._counts: Counter[str] = Counter()
        self._in_tests: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self._narrowed: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._skipped: dict[str, None] = {}  # paths
        self._failed: dict[str, list[str]] = {}  # files that were lost, by why
        self._notes: list[str] = []
        self._version = settings.version

    def add(self, taken: Taken) -> None:
        """Adds what was taken of a document."""
        for rule, told in taken.told.items():
            both = (*self._told.get(rule, ()), *told)
            self._told[rule] = sorted(both, key=lambda one: self._judge.order(one.result.path))[:MAX_PLACES]
        self._counts += taken.counts
        self._in_tests += taken.in_tests
        self._files += taken.files
        self._narrowed += taken.narrowed
        self._left_out += taken.left_out
        self._notes += taken.notes
        self._version = self._version or taken.version
        inside = (self._judge.inside(path) for path in taken.skipped)
        self._skipped.update(dict.fromkeys(path for path in inside if path))

    def lose(self, files: Iterable[str], complaint: str) -> None:
        """Notes that the tool failed over these files."""
        self._failed.setdefault(complaint, []).extend(files)

    def tell_blocks(self, lost: Mapping[str, str], others: Counter[str]) -> None:
        """Notes the files that could not be taken apart, and the blocks that are not for this tool."""
        for path, complaint in lost.items():
            self.lose([path], f"it {complaint}")
        if others:
            kinds = ", ".join(f"{kind} {count:,}" for kind, count in others.most_common(MAX_OTHER_BLOCKS))
            self._notes.append(f"Not for {self._settings.name}, so not judged: scripts for other shells ({kinds}).")

    def result(self) -> dict[str, Any]:
        """Returns the typed result, at most `MAX_RESULT_BYTES` long."""
        findings = [self._finding(told) for told in self._chosen()]
        document = {
            "findings": findings,
            "notes": self._all_notes(),
            "unjudged": len(self._lost()) + self._selection.gaps,
            "unjudged_files": listed(self._lost()),
            "coverage": self._coverage(),
        }
        while findings and len(json.dumps(document)) > MAX_RESULT_BYTES:
            del findings[-max(1, len(findings) // 10) :]
        return document

    def summary(self) -> str:
        """Returns the readable answer."""
        if self._settings.files and not self._selection.kinds:
            return f"{self._title} was not started: the snapshot has no file for it.\n"
        judged = ", ".join(f"{kind} {count:,}" for kind, count in self._judged().items())
        top = self._counts.most_common(MAX_TOP_RULES)
        rules = ", ".join(f"{self._named(rule).partition(':')[2]} {count:,}" for rule, count in top)
        more = f" and {len(self._counts) - MAX_TOP_RULES:,} more rules" if len(self._counts) > MAX_TOP_RULES else ""
        results = "1 result" if self._counts.total() == 1 else f"{self._counts.total():,} results"
        over = f" over files: {judged}" if judged else ""
        return f"{self._title}: {results}{f' ({rules}{more})' if rules else ''}{over}.\n"

    @property
    def _title(self) -> str:
        return f"{self._settings.name} {self._version}".rstrip()

    def _chosen(self) -> list[Told]:
        ordered = [told for _, told in sorted(self._told.items())]
        rounds = range(max(map(len, ordered), default=0))
        return [told[at] for at in rounds for told in ordered if at < len(told)][:MAX_FINDINGS]

    def _finding(self, told: Told) -> dict[str, Any]:
        result = told.result
        start = max(result.start_line, 1)
        lines = [line.strip() for line in spelt(result.message).splitlines() if line.strip()]
        lines = lines or [f"{self._settings.name} found {spelt(result.rule)} here."]
        return {
            "id": "",
            "severity": _severity(result, told.rule),
            "title": short(lines[0], MAX_TITLE_CHARACTERS),
            # What the title has is not said again where more follows.
            "claim": short(
                "\n".join(lines[1:] if len(lines[0]) <= MAX_TITLE_CHARACTERS else []) or "\n".join(lines),
                MAX_CLAIM_CHARACTERS,
            ),
            "category": self._settings.category or _category(self._kind(result.path)),
            "rule": self._named(result.rule),
            "help": link(result.help),
            "evidence": [
                {"path": spelt(result.path), "start_line": start, "end_line": max(start, result.end_line), "quote": ""}
            ],
        }

    def _named(self, rule: str) -> str:
        """Returns the rule's name with its tool's, as tables and baselines have it."""
        tool = self._settings.tool or self._settings.name
        return f"{tool}:{plain(rule).strip()[: MAX_RULE_CHARACTERS - len(tool)]}"

    def _kind(self, path: str) -> str:
        return self._selection.kinds.get(path) or language(path) or NO_KIND

    def _lost(self) -> set[str]:
        """Returns the files that it should have judged, and did not."""
        failed = {path for paths in self._failed.values() for path in paths}
        return failed | set(self._skipped) | set(self._selection.unread)

    def _judged(self) -> dict[str, int]:
        lost = self._lost()
        kinds = Counter(kind for path, kind in self._selection.kinds.items() if path not in lost)
        return dict(sorted(kinds.items()))

    def _coverage(self) -> dict[str, Any]:
        return {
            "tool": self._title,
            "judged": self._judged(),
            "skipped": dict(sorted(Counter(map(self._kind, self._lost())).items())),
            "rules": self._by_rule(self._counts),
            "in_tests": self._by_rule(self._in_tests),
            "rule_files": self._by_rule(self._files),
            "others": {kind: count for kind, count in sorted(self._selection.others.items()) if count},
            "narrowed": self._by_rule(self._narrowed),
            "narrowed_by": self._narrowed_by(),
        }

    def _narrowed_by(self) -> str:
        narrowing = self._judge.narrowing
        return spelt(narrowing.sentence)[:MAX_NOTE_CHARACTERS] if narrowing is not None else ""

    def _by_rule(self, counts: Counter[str]) -> dict[str, int]:
        return {self._named(rule): count for rule, count in counts.most_common(MAX_COUNTED_RULES)}

    def _all_notes(self) -> list[str]:
        name = self._settings.name
        notes = [f"{name} failed{over(paths)}: {complaint}." for complaint, paths in self._failed.items()]
        notes += unjudged(f"{name} passed over", sorted(self._skipped))
        for why in sorted(set(self._selection.unread.values())):
            notes += unjudged(
                f"Files {why}:", [path for path, one in sorted(self._selection.unread.items()) if one == why]
            )
        notes += [
            f"Of {name}'s results, those {where} are left out: {count:,}." for where, count in self._left_out.items()
        ]
        if self._judge.complaint:
            notes.append(f"The repository's own settings of {name} cannot be applied: {self._judge.complaint}.")
        told = dict.fromkeys(plain(note)[:MAX_NOTE_CHARACTERS] for note in [*notes, *self._notes])
        return list(told)[:MAX_NOTES]


def _severity(result: Result, rule: Rule) -> str:
    if rule.weight >= 0:
        return next((name for least, name in _BANDS if rule.weight >= least), "low")
    return _SEVERITIES.get(result.level, "medium")


def _category(kind: str) -> str:
    return _CATEGORIES.get(kind, kind.lstrip(".").lower())[:40] if kind != NO_KIND else "general"
