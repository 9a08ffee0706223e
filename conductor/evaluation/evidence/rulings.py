"""Judges the findings of tools by a flow's table of rules: which are kept and how, and which are dropped and counted.

A rule that is not in the table, of a tool that is, goes as one that the table drops: tools have hundreds of rules, and a table
names those that a good maintainer acts on. Findings of other tools, and those without a rule, stay as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from conductor.evaluation.evidence.findings import Finding
from conductor.evaluation.evidence.folding import cause_of, fold
from conductor.evaluation.evidence.test_code import is_test
from conductor.flows.library.rule_table import Rule, RuleTable

MAX_TOLD_RULES = 8


@dataclass(frozen=True, slots=True)
class Ruled:
    """The findings that a table judged, those that it says nothing of, and notes on what it dropped."""

    kept: tuple[Finding, ...]
    others: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


def judge_by_rules(findings: Iterable[Finding], table: RuleTable, counts: Mapping[str, int]) -> Ruled:
    """Returns the findings as the table wants them. `counts` are the true numbers of findings by rule."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    others: list[Finding] = []
    given: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    kept: list[Finding] = []
    for finding in findings:
        if finding.cause:
            kept.append(finding)  # a merge before this one has judged it
        elif not table.judges(finding.rule):
            others.append(finding)
        else:
            given[finding.rule] += 1
            rule = table.rules.get(finding.rule, _UNKNOWN)
            if rule.drop or (counted := _counted(finding, rule)) is None:
                dropped[finding.rule] += 1
            else:
                cause = cause_of(counted, rule)
                groups.setdefault((cause,) if cause else ("", counted.id), []).append(counted)
    uncounted = Counter({rule: max(0, number - given[rule]) for rule, number in counts.items() if rule in given})
    for key, group in groups.items():
        rule = table.rules[group[0].rule]
        more = uncounted[group[0].rule] if rule.fold else 0
        kept.append(fold(key[0], group, rule, more))
    gone = Counter({rule: number + (0 if table.keeps(rule) else uncounted[rule]) for rule, number in dropped.items()})
    return Ruled(tuple(kept), tuple(others), _notes(gone, table))


_UNKNOWN = Rule(drop="it is not in the table")


def _counted(finding: Finding, rule: Rule) -> Finding | None:
    """Returns the finding with the places that count; None where there is none."""
    if rule.tests or not finding.evidence:
        return finding
    places = tuple(place for place in finding.evidence if not is_test(place.path))
    return replace(finding, evidence=places) if places else None


def _notes(dropped: Counter[str], table: RuleTable) -> tuple[str, ...]:
    unkept = Counter({rule: number for rule, number in dropped.items() if not table.keeps(rule)})
    in_tests = dropped.total() - unkept.total()
    notes = []
    if unkept:
        told = ", ".join(f"{rule} ({number:,})" for rule, number in unkept.most_common(MAX_TOLD_RULES))
        more = f" and {len(unkept) - MAX_TOLD_RULES} more rules" if len(unkept) > MAX_TOLD_RULES else ""
        which = "1 finding was" if unkept.total() == 1 else f"{unkept.total():,} findings were"
        notes.append(f"{which} left out, whose rules this flow's table does not keep: {told}{more}")
    if in_tests:
        which = "1 finding" if in_tests == 1 else f"{in_tests:,} findings"
        notes.append(f"{which} in test code left out, of rules that speak of other code")
    return tuple(notes)
