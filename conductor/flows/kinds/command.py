"""A step that runs a command of a host's operator (see `flows.commands`). Which there are, and what they take, the hosts know."""

import re
from collections.abc import Iterator
from dataclasses import replace

from conductor.core.model.plan import AgentPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.commands import run_by_agent
from conductor.flows.kinds import agent
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.problems import Problems

KIND = "command"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")


def judge(step: Step, where: str, library: Library, problems: Problems) -> None:
    """Adds the problems of a command."""
    if not _NAME.match(step.command.command):
        text = f"'{step.command.command}' must be the name of a command: a-z, 0-9 and -, at most 31 characters"
        problems.add(f"{where}.command", text)
        return
    agent.judge(run_by_agent(step), where, library, problems)


def templates(step: Step) -> Iterator[tuple[str, str]]:
    """Yields the values of parameters."""
    for name, value in step.command.parameters.items():
        yield f"parameters.{name}", value


def expressions(_step: Step) -> Iterator[Expression]:
    """Yields nothing."""
    yield from ()


def plan(step: Step, planning: Planning) -> AgentPlan:
    """Returns the plan of asking the agent. Its result has the right form, so there is nothing to repair."""
    return replace(agent.plan(run_by_agent(step), planning), repairs=False, shown_as=KIND)
