"""A step of facts: a question to the built-in agent `facts`, whose result has a form of its own (see `flows.facts`)."""

from collections.abc import Iterator
from dataclasses import replace

from conductor.core.model.plan import AgentPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.facts import SCHEMAS, asked, scan_name
from conductor.flows.kinds import agent
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.problems import Problems

KIND = "facts"


def judge(step: Step, where: str, _library: Library, problems: Problems) -> None:
    """Adds the problems of the scans."""
    scans = step.facts.scans
    if not scans:
        problems.add(f"{where}.scans", f"name at least one scan: {', '.join(SCHEMAS)}")
    for index, scan in enumerate(scans):
        if not scan_name(scan):
            problems.add(f"{where}.scans[{index}]", f"must be one of {', '.join(SCHEMAS)}")
        elif scan in scans[:index]:
            problems.add(f"{where}.scans[{index}]", f"'{scan_name(scan)}' stands here twice")


def templates(_step: Step) -> Iterator[tuple[str, str]]:
    """Yields nothing: the prompt is ours."""
    yield from ()


def expressions(_step: Step) -> Iterator[Expression]:
    """Yields nothing."""
    yield from ()


def plan(step: Step, planning: Planning) -> AgentPlan:
    """Returns the plan of asking the agent. Its answer is made by rules, so a repair would give the same."""
    return replace(agent.plan(asked(step), planning), repairs=False, shown_as=KIND)
