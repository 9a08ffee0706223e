"""Turns results into findings, counts them by rule, and tells what was not judged.

Of a rule at most `MAX_PLACES` results become findings, and of a tool at most `MAX_FINDINGS`, shared out among its rules. All of
them are counted.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..files import is_generated, is_vendored, language
from .results import Narrowing, Result, inside
from .sarif import RawResult, Rule
from .selection import Selection, head_of
from .settings import Settings

MAX_PLACES = 40
MAX_FINDINGS = 500
MAX_RULES = 1000
MAX_COUNTED_RULES = 500  # in the coverage
MAX_NOTES = 20
MAX_NAMED = 5
MAX_RESULT_BYTES = 900 * 1024
MAX_TITLE_CHARACTERS = 160
MAX_CLAIM_CHARACTERS = 1500
MAX_RULE_CHARACTERS = 90
OTHER_RULES = "other rules"
_SEVERITIES = {"error": "high", "warning": "medium", "note": "low", "none": "info"}
_CATEGORIES = {
    "Dockerfile": "containers",
    "GitHub workflow": "workflows",
    "GitHub action": "workflows",
    "TypeScript": "javascript",
    "Markdown": "documents",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A result that becomes a finding."""

    result: Result
    severity: str


class Tally:
    """What one tool said, over all of its batches."""

    def __init__(
        self, settings: Settings, selection: Selection, root: Path, narrowing: Narrowing | None = None
    ) -> None:
        self._settings, self._selection, self._root, self._narrowing = settings, selection, root, narrowing
        self._fresh: dict[str, list[Result]] = {}  # of the document that is read now, by rule
        self._fresh_counts: Counter[str] = Counter()
        self._told: dict[str, list[Told]] = {}
        self._seen: set[tuple[str, str, int, str]] = set()
        self._generated: dict[str, bool] = {}
        self.counts: Counter[str] = Counter()
        self.narrowed: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()  # files that were not judged, by kind
        self.notes: list[str] = []
        self.left_out: Counter[str] = Counter()
        self._skipped_paths: dict[str, None] = {}

    def take(self, result: Result) -> None:
        """Counts a result, and keeps it where there is room."""
        path = inside(result.path) if result.path else ""
        name = result.rule or (f"#{result.rule_index}" if isinstance(result, RawResult) else "unnamed")
        if not path:
            self.left_out["without a place in the snapshot"] += 1
            return
        result = replace(result, path=path)
        if is_vendored(path) or self._is_generated(path):
            self.left_out["in vendored or generated files"] += 1
        elif self._is_narrowed(result):
            self.narrowed[name] += 1
        else:
            self._keep(name, result)

    def close(self, settle: Callable[[Result], tuple[Result, Rule]]) -> None:
        """Ends a document: now its rules are known."""
        for name, results in self._fresh.items():
            for at, result in enumerate(results):
                settled, rule = settle(result)
                if not at:
                    key = settled.rule if settled.rule in self.counts or len(self.counts) < MAX_RULES else OTHER_RULES
                    self.counts[key] += self._fresh_counts[name]
                kept = self._told.setdefault(key, [])
                if len(kept) < MAX_PLACES:
                    kept.append(Told(settled, _severity(settled, rule)))
        self._fresh, self._fresh_counts, self._seen = {}, Counter(), set()

    def skip(self, paths: Iterable[str]) -> None:
        """Counts files that the tool passed over."""
        for path in paths:
            relative = inside(path) if path else ""
            if relative and relative not in self._skipped_paths and (self._root / relative).is_file():
                self._skipped_paths[relative] = None
                self.skipped[self._selection.kinds.get(relative) or language(relative) or "other files"] += 1

    def note(self, sentence: str) -> None:
        """Adds a sentence on what the findings do not cover."""
        if len(self.notes) < MAX_NOTES and sentence not in self.notes:
            self.notes.append(sentence)

    def result(self) -> dict[str, Any]:
        """Returns the typed result, at most `MAX_RESULT_BYTES` long."""
        self._tell_gaps()
        chosen = [self._finding(told) for told in self._chosen()]
        document = {
            "findings": chosen,
            "notes": [note[:480] for note in self.notes[:MAX_NOTES]],
            "unjudged": self.unjudged,
            "coverage": self._coverage(),
        }
        while chosen and len(json.dumps(document)) > MAX_RESULT_BYTES:
            del chosen[-max(1, len(chosen) // 10) :]
        return document

    @property
    def unjudged(self) -> int:
        """Returns how many files it should have judged, and could not."""
        return self.skipped.total() + len(self._selection.unjudged) + self._selection.snapshot_gaps

    def summary(self) -> str:
        """Returns the readable answer."""
        judged = ", ".join(f"{count:,} {kind}" for kind, count in self.judged.items())
        found = ", ".join(f"{rule} {count:,}" for rule, count in self.counts.most_common(10))
        more = f" and {len(self.counts) - 10:,} rules more" if len(self.counts) > 10 else ""
        files = f" over {judged} files" if judged else ""
        return f"{self._settings.title} ran{files}: {self.counts.total():,} results{f' ({found}{more})' if found else ''}.\n"

    @property
    def judged(self) -> dict[str, int]:
        """Returns how many files of each kind it judged."""
        left = Counter(self._selection.kinds.values())
        left.subtract({kind: count for kind, count in self.skipped.items() if kind in left})
        return {kind: count for kind, count in sorted(left.items()) if count > 0}

    def _keep(self, name: str, result: Result) -> None:
        key = (name, result.path, result.start_line, result.message)
        if key in self._seen:
            return
        if name not in self._fresh_counts and len(self._fresh_counts) >= MAX_RULES:
            name = OTHER_RULES
        self._fresh_counts[name] += 1
        kept = self._fresh.setdefault(name, [])
        if len(kept) < MAX_PLACES:
            kept.append(result)
            self._seen.add(key)

    def _is_narrowed(self, result: Result) -> bool:
        if isinstance(result, RawResult) and result.is_suppressed:
            return True
        if self._narrowing is None:
            return False
        try:
            return self._narrowing.leaves_out(result)
        except Exception as error:  # noqa: BLE001 - the repository's configuration must not cost its findings
            self.note(f"The repository's own settings of {self._settings.name} cannot be applied: {error}.")
            self._narrowing = None
            return False

    def _is_generated(self, path: str) -> bool:
        if path in self._selection.kinds:
            return False
        if path not in self._generated:
            if len(self._generated) > 10_000:
                self._generated.clear()
            self._generated[path] = is_generated((head_of(self._root / path) or "").split("\n"))
        return self._generated[path]

    def _chosen(self) -> list[Told]:
        """Returns the findings: as many of each rule as there is room for, the first of each before the second of any."""
        ordered = sorted(self._told.items())
        rounds = (
            [told[at] for _, told in ordered if at < len(told)]
            for at in range(max(map(len, self._told.values()), default=0))
        )
        return [told for one in rounds for told in one][:MAX_FINDINGS]

    def _finding(self, told: Told) -> dict[str, Any]:
        result = told.result
        start = max(result.start_line, 1)
        message = "\n".join(line.strip() for line in result.message.strip().split("\n") if line.strip())
        message = message or f"{self._settings.name} found {result.rule} here."
        return {
            "id": "",
            "severity": told.severity,
            "title": _short(message.split("\n")[0], MAX_TITLE_CHARACTERS),
            "claim": _short(message, MAX_CLAIM_CHARACTERS),
            "category": self._category(result.path),
            "rule": self._named(result.rule),
            "help": _link(result.help),
            "evidence": [
                {"path": spelt(result.path), "start_line": start, "end_line": max(start, result.end_line), "quote": ""}
            ],
        }

    def _category(self, path: str) -> str:
        if self._settings.category:
            return self._settings.category
        kind = self._selection.kinds.get(path) or language(path)
        return _CATEGORIES.get(kind, kind.lstrip(".").lower()) or "general"

    def _named(self, rule: str) -> str:
        name = "".join(character for character in spelt(rule) if character.isprintable()).strip()
        return f"{self._settings.name}:{name[: MAX_RULE_CHARACTERS - len(self._settings.name)]}"

    def _coverage(self) -> dict[str, Any]:
        return {
            "tool": self._settings.title,
            "judged": self.judged,
            "skipped": dict(self.skipped + Counter(self._selection.unjudged.values())),
            "rules": {self._named(rule): count for rule, count in self.counts.most_common(MAX_COUNTED_RULES)},
            "narrowed": {self._named(rule): count for rule, count in self.narrowed.most_common(MAX_COUNTED_RULES)},
        }

    def _tell_gaps(self) -> None:
        name = self._settings.name
        self._tell_files("passed over", list(self._skipped_paths))
        self._tell_files(
            "was not given, because they are too large or cannot be read:", sorted(self._selection.unjudged)
        )
        for kind, count in sorted(self._selection.others.items()):
            if count:
                self.note(f"{name} was not given {count:,} {kind} {'file' if count == 1 else 'files'}.")
        for where, count in self.left_out.items():
            self.note(f"{count:,} of {name}'s results {where} {'was' if count == 1 else 'were'} left out.")
        if self._narrowing is not None and self.narrowed and self._narrowing.sentence:
            self.note(self._narrowing.sentence)

    def _tell_files(self, what: str, paths: list[str]) -> None:
        if not paths:
            return
        named = ", ".join(spelt(path)[:100] for path in paths[:MAX_NAMED])
        more = f" and {len(paths) - MAX_NAMED:,} more" if len(paths) > MAX_NAMED else ""
        self.note(
            f"{self._settings.name} {what} {named}{more}; {'it is' if len(paths) == 1 else 'they are'} not judged."
        )


def spelt(text: str) -> str:
    """Returns text with bytes of names that are no UTF-8 in hexadecimal digits, which the conductor reads as those names."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def _severity(result: Result, rule: Rule) -> str:
    """Returns the severity that the tool's level says, or its `security-severity`, in the bands that code hosts use."""
    bands: Mapping[float, str] = {9.0: "critical", 7.0: "high", 4.0: "medium", 0.0: "low"}
    if rule.weight >= 0:
        return next(name for least, name in bands.items() if rule.weight >= least)
    return _SEVERITIES.get(result.level, "medium")


def _link(text: str) -> str:
    return text if text.startswith(("https://", "http://")) and text.isprintable() and " " not in text else ""


def _short(text: str, limit: int) -> str:
    text = spelt(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
