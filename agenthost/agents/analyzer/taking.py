"""Takes the results of one document: counts all of them by rule, and keeps some of each rule, those in changed files first.

A batch that is run again, in halves, drops what was taken of it.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from .doubts.pipelines import REPEATED
from .judging import NARROWED, OF_TESTS, Judge
from .results import Result
from .sarif.values import RawResult, Rule

MAX_PLACES = 400  # that become findings, of a rule
MAX_RULES = 1000
MAX_FILES = 20_000  # that are told apart, of all rules together
OTHER_RULES = "other rules"
Settle = Callable[[Result], tuple[Result, Rule]]


@dataclass(frozen=True, slots=True)
class Told:
    """A result that may become a finding, with what its document says of its rule."""

    result: Result
    rule: Rule


@dataclass
class Taken:
    """The results of one document, by the names of their rules. `settled` when its rules are known."""

    told: dict[str, list[Told]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    in_tests: Counter[str] = field(default_factory=Counter)  # of `counts`, those in test code
    files: Counter[str] = field(default_factory=Counter)  # with results, without those of tests
    narrowed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)  # paths that the tool says it passed over
    notes: list[str] = field(default_factory=list)
    version: str = ""  # that the document tells


class Taking:
    """Takes what a reader yields."""

    def __init__(self, judge: Judge, unparsed: Collection[str] = ()) -> None:
        self._judge, self._unparsed = judge, frozenset(unparsed)
        self._fresh: dict[str, tuple[list[Result], ...]] = {}  # in the judge's order of files
        self._counts: Counter[str] = Counter()
        self._in_tests: Counter[str] = Counter()
        self._files: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str, int, str]] = set()
        self.taken = Taken()

    def take(self, result: Result) -> None:
        """Counts a result, and keeps it where there is room. Until `settle` a rule may be known by its index only."""
        name = result.rule or (f"#{result.rule_index}" if isinstance(result, RawResult) else "unnamed")
        result, reason = self._judge.judge(result)
        told = result.rule or name
        if name in self._unparsed and reason in {"", NARROWED} and len(self.taken.skipped) < MAX_FILES:
            self.taken.skipped.append(result.path)
        if reason == NARROWED:
            self.taken.narrowed[self._counted(name, self.taken.narrowed)] += 1
        elif reason and reason != REPEATED:
            self.taken.left_out[reason] += 1
        elif not reason:
            self._keep(self._counted(told, self._counts), result)

    def settle(self, settle: Settle) -> Taken:
        """Returns what was taken, with what the document says of its rules."""
        files = Counter(name for name, _ in self._files)
        for name in self._counts:
            results = [result for kept in self._fresh[name] for result in kept][:MAX_PLACES]
            settled = [Told(*settle(result)) for result in results]
            rule = settled[0].result.rule if name != OTHER_RULES else name
            self.taken.counts[rule] += self._counts[name]
            self.taken.in_tests[rule] += self._in_tests[name]
            self.taken.files[rule] += files[name]
            self.taken.told.setdefault(rule, []).extend(settled)
        self._fresh, self._files = {}, set()
        self._counts, self._in_tests = Counter(), Counter()
        return self.taken

    def _keep(self, name: str, result: Result) -> None:
        order = self._judge.order(result.path)
        kept = self._fresh.setdefault(name, ([], [], []))[order]
        key = (result.rule or name, result.path, result.start_line, result.message)
        if key in self._seen:
            return
        self._counts[name] += 1
        if order == OF_TESTS:
            self._in_tests[name] += 1
        elif len(self._files) < MAX_FILES:
            self._files.add((name, result.path))
        if len(kept) < MAX_PLACES:
            kept.append(result)
            self._seen.add(key)

    @staticmethod
    def _counted(name: str, counts: Counter[str]) -> str:
        return name if name in counts or len(counts) < MAX_RULES else OTHER_RULES
