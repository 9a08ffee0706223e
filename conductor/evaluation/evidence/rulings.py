"""Judges the findings of tools by a flow's table of rules: which are kept and how, and which are dropped and counted.

A rule that is not in the table, of a tool that is, goes as one that the table drops: tools have hundreds of rules, and a table
names those that a good maintainer acts on. Findings of other tools, and those without a rule, stay as they are. What went stands in
the coverage of its step, by rule, as `dropped`.

The number of findings of a rule is what the tools' coverage tells: they hand in some of them and count all.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from conductor.evaluation.answers.coverage import Coverage, count_rules
from conductor.evaluation.evidence.findings import Finding
from conductor.evaluation.evidence.folding import UNKNOWN, Known, cause_of, fold
from conductor.evaluation.evidence.test_code import is_test
from conductor.flows.library.rule_table import Rule, RuleTable

_UNKNOWN = Rule(drop="it is not in the table")


@dataclass(frozen=True, slots=True)
class Ruled:
    """The findings that a table judged, those that it says nothing of, and the coverage with what it dropped."""

    kept: tuple[Finding, ...]
    others: tuple[Finding, ...]
    coverage: tuple[Coverage, ...] = ()


@dataclass(slots=True)
class _Sorted:
    """The findings of a table's tools, sorted: those to fold by cause, and how many of a step and rule went or stand in tests."""

    groups: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    in_tests: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)

    def take(self, finding: Finding, rule: Rule) -> None:
        """Sorts in one finding."""
        self.given[finding.rule] += 1
        counted = None if rule.drop else _counted(finding, rule)
        if counted is None:
            self.in_tests[finding.rule] += not rule.drop
            self.dropped.setdefault(finding.step, Counter())[finding.rule] += 1
            return
        cause = cause_of(counted, rule)
        self.groups.setdefault((cause, "" if cause else counted.id), []).append(counted)


def judge_by_rules(findings: Iterable[Finding], table: RuleTable, coverage: Sequence[Coverage]) -> Ruled:
    """Returns the findings as the table wants them."""
    numbers, files = count_rules(coverage, "rules"), count_rules(coverage, "rule_files")
    others, kept, ours = [], [], _Sorted()
    for finding in findings:
        if finding.calibrated:
            kept.append(finding)  # a merge before this one has judged it
        elif table.judges(finding.rule):
            ours.take(finding, table.rules.get(finding.rule, _UNKNOWN))
        else:
            others.append(finding)
    in_tests = count_rules(coverage, "in_tests") | ours.in_tests
    for (cause, _), group in ours.groups.items():
        name = group[0].rule
        rule = table.rules[name]
        # Where a rule has several causes, it is not known which of them the places have that were only counted.
        known = Known(numbers[name] - (0 if rule.tests else in_tests[name]), files[name]) if rule.fold else UNKNOWN
        kept.append(fold(cause, group, rule, known))
    return Ruled(tuple(kept), tuple(others), tuple(_with_dropped(coverage, ours.dropped, table)))


def _counted(finding: Finding, rule: Rule) -> Finding | None:
    """Returns the finding with the places that count; None where there is none."""
    if rule.tests or not finding.evidence:
        return finding
    places = tuple(place for place in finding.evidence if not is_test(place.path))
    return replace(finding, evidence=places) if places else None


def _with_dropped(
    coverage: Sequence[Coverage], dropped: dict[str, Counter[str]], table: RuleTable
) -> Iterable[Coverage]:
    """Yields the coverage with what was dropped of each step; of a step that told none only that."""
    for one in coverage:
        gone = dropped.pop(one.get("step", ""), Counter())
        for rule, number in one.get("rules", {}).items():
            if table.judges(rule) and not table.keeps(rule):
                gone[rule] = number
        for rule, number in one.get("in_tests", {}).items():
            if table.keeps(rule) and not table.rules[rule].tests:
                gone[rule] = number
        yield one if not gone or "dropped" in one else {**one, "dropped": dict(gone)}
    for step, gone in dropped.items():
        yield {"step": step, "dropped": dict(gone)}
