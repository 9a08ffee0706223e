"""A step that combines earlier results: by a template, or by merging findings."""

from collections.abc import Iterator

from conductor.core.model.plan import FoldPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.output_rules import judge_output
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.problems import Problems
from conductor.flows.library.rule_table import read_rule_table
from servicekit.errors import there_are

MAX_MERGED_FINDINGS = 500


def judge(step: Step, where: str, library: Library, problems: Problems) -> None:
    """Adds the problems of a fold."""
    match step.fold.WhichOneof("method"):
        case "template":
            if not step.fold.template.strip():
                problems.add(f"{where}.template", "must not be empty")
            if step.fold.HasField("output"):
                judge_output(step.fold.output, f"{where}.output", problems)
            if step.fold.output.findings:
                problems.add(
                    f"{where}.output.findings", "a template renders no findings: give it a schema, or merge them"
                )
        case "merge":
            _judge_merge(step, where, library, problems)
        case _:
            problems.add(where, "a fold has a method: give it 'template' or 'merge'")


def _judge_merge(step: Step, where: str, library: Library, problems: Problems) -> None:
    if not step.needs:
        problems.add(where, "a merge combines the findings of the needed steps: give it 'needs'")
    if step.fold.merge.verdicts and step.fold.merge.verdicts not in step.needs:
        text = f"'{step.fold.merge.verdicts}' must be among 'needs': a foreach over findings whose steps are sceptics"
        problems.add(f"{where}.merge.verdicts", text)
    if step.fold.merge.rules:
        _judge_rules(step.fold.merge.rules, f"{where}.merge.rules", library, problems)
    if not 0 <= step.fold.merge.max_findings <= MAX_MERGED_FINDINGS:
        problems.add(f"{where}.merge.max_findings", f"must be 1 to {MAX_MERGED_FINDINGS}")
    if step.fold.HasField("output"):
        problems.add(f"{where}.output", "a merge makes findings; only a 'template' that renders JSON has an output")


def _judge_rules(name: str, where: str, library: Library, problems: Problems) -> None:
    """Adds the problems of the table of rules that a merge names."""
    table = next(((path, text) for known, path, text in library.tables if known == name), None)
    if table is None:
        reason = next((why for known, why in library.unusable if known == name), "")
        names = sorted(known for known, _, _ in library.tables)
        problems.add(where, reason or f"there is no table of rules '{name[:100]}'{there_are(name, names)}")
        return
    path, text = table
    for problem in read_rule_table(text).problems:
        problems.add_elsewhere(path, problem.line, problem.field, problem.text)


def templates(step: Step) -> Iterator[tuple[str, str]]:
    """Yields the template of a fold that has one."""
    if step.fold.template:
        yield "template", step.fold.template


def expressions(_step: Step) -> Iterator[Expression]:
    """Yields nothing."""
    yield from ()


def plan(_step: Step, _planning: Planning) -> FoldPlan:
    """Returns the plan of a fold."""
    return FoldPlan()
