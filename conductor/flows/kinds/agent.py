"""A step that asks an agent.

Two durations must fit each other: `lost_after` is at least `orphan_timeout` and a margin. If the author gives one of them, the
other follows from it; if they give both, `clock_rules` has judged them.
"""

import re
from collections.abc import Collection, Iterator

from conductor.config import LEASE_MARGIN_SECONDS, Clocks
from conductor.core.model.plan import AgentPlan, OnLost, RetryPlan
from conductor.flows.checks.clock_rules import judge_clocks
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.output_rules import judge_output
from conductor.flows.defaults import MODEL
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.marks import is_template
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2
from servicekit.errors import there_are

Flow = flow_service_pb2.Flow
AgentWork = flow_service_pb2.AgentWork

MAX_PARAMETER_NAME_CHARACTERS = 128
MAX_PARAMETER_CHARACTERS = 4000
MAX_RESULT_CHARACTERS = 200_000
MAX_MODEL_CHARACTERS = 200
MAX_LABEL_CHARACTERS = 63
DEFAULT_INFRASTRUCTURE_RETRIES = 2
MOST_ATTEMPTS = 10
_AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def judge(step: Step, where: str, library: Library, problems: Problems) -> None:
    """Adds the problems of a step that asks an agent."""
    agent = step.agent
    if not agent.agents:
        problems.add(f"{where}.agents", "name at least one agent, here or in the flow's defaults")
    if not agent.prompt.strip():
        problems.add(f"{where}.prompt", "must not be empty")
    _judge_values(agent, where, library, problems)


def judge_defaults(flow: Flow, library: Library, problems: Problems) -> None:
    """Adds the problems of a flow's defaults, also of those that no step has."""
    if flow.HasField("defaults"):
        _judge_values(flow.defaults, "defaults", library, problems)
    if flow.defaults.prompt:
        problems.add("defaults.prompt", "has no default: each step asks its own question")


def _judge_values(agent: AgentWork, where: str, library: Library, problems: Problems) -> None:
    for index, name in enumerate(agent.agents):
        if not _AGENT_NAME.match(name) or name in agent.agents[:index]:
            problems.add(f"{where}.agents[{index}]", f"'{name}' must be an agent's name, and stand here once")
    if agent.persona and not is_template(agent.persona) and agent.persona not in library.personas:
        problems.add(f"{where}.persona", _unknown("persona", agent.persona, library.personas, library))
    for index, name in enumerate(agent.contracts):
        if name not in library.contracts:
            problems.add(f"{where}.contracts[{index}]", _unknown("contract", name, library.contracts, library))
        elif name in agent.contracts[:index]:
            problems.add(f"{where}.contracts[{index}]", f"'{name}' stands here twice")
    if agent.HasField("output"):
        judge_output(agent.output, f"{where}.output", problems)
    _judge_limits(agent, where, problems)


def templates(step: Step) -> Iterator[tuple[str, str]]:
    """Yields the prompt, and what is rendered with it."""
    if is_template(step.agent.persona):
        yield "persona", step.agent.persona
    if step.agent.prompt:
        yield "prompt", step.agent.prompt
    if step.agent.model:
        yield "model", step.agent.model
    for name, value in step.agent.parameters.items():
        yield f"parameters.{name}", value


def expressions(_step: Step) -> Iterator[Expression]:
    """Yields nothing."""
    yield from ()


def plan(step: Step, planning: Planning) -> AgentPlan:
    """Returns the plan of asking the agent, with the conductor's clocks where the author gave none."""
    work, clocks = step.agent, planning.clocks
    orphan, lost_after = _lease(work, clocks)
    return AgentPlan(
        agents=tuple(work.agents),
        parameters=tuple(sorted(work.parameters.items())),
        model=work.model,
        labels=tuple(sorted(work.labels.items())),
        timeout_seconds=_seconds(work, "timeout", clocks.step_timeout_seconds),
        idle_timeout_seconds=_seconds(work, "idle_timeout", clocks.idle_timeout_seconds),
        max_attempts=work.max_attempts or MOST_ATTEMPTS,
        first_output_timeout_seconds=_seconds(work, "first_output_timeout", clocks.first_output_timeout_seconds),
        queue_timeout_seconds=_seconds(work, "queue_timeout", clocks.queue_timeout_seconds),
        orphan_timeout_seconds=orphan,
        lost_after_seconds=lost_after,
        on_lost=OnLost.FAIL if work.on_lost == AgentWork.ON_LOST_FAIL else OnLost.RETRY,
        retries=_retries(work),
        repairs=True,
    )


def _judge_limits(agent: AgentWork, where: str, problems: Problems) -> None:
    judge_clocks(agent, where, problems)
    if not 0 <= agent.max_result_characters <= MAX_RESULT_CHARACTERS:
        problems.add(
            f"{where}.max_result_characters", f"must be 1 to {MAX_RESULT_CHARACTERS}, not {agent.max_result_characters}"
        )
    for name, value in agent.parameters.items():
        problems.add_if_longer(f"{where}.parameters.{name}", name, MAX_PARAMETER_NAME_CHARACTERS)
        problems.add_if_longer(f"{where}.parameters.{name}", value, MAX_PARAMETER_CHARACTERS)
        if "\0" in name + value:
            problems.add(
                f"{where}.parameters.{name}", "must not hold NUL: no argument, variable or file of an agent can"
            )
    problems.add_if_longer(f"{where}.model", agent.model, MAX_MODEL_CHARACTERS)
    for name, value in agent.labels.items():
        problems.add_if_longer(f"{where}.labels.{name}", name, MAX_LABEL_CHARACTERS)
        problems.add_if_longer(f"{where}.labels.{name}", value, MAX_LABEL_CHARACTERS)
    if agent.model and MODEL in agent.parameters:
        problems.add(f"{where}.model", "stands beside parameters.model: remove one of the two")


def _unknown(what: str, name: str, known: Collection[str], library: Library) -> str:
    if why := dict(library.unusable).get(name):
        return f"the {what} '{name}' cannot be used: {why}"
    return f"there is no {what} '{name}'{there_are(name, sorted(known))}"


def _lease(work: AgentWork, clocks: Clocks) -> tuple[float, float]:
    """Returns how long an agent lives without its conductor, and how long its host may be silent before the agent is lost."""
    orphan = _seconds(work, "orphan_timeout", clocks.orphan_timeout_seconds)
    lost_after = _seconds(work, "lost_after", clocks.lost_after_seconds)
    if work.may_overlap:
        return orphan, lost_after
    if work.HasField("lost_after") and not work.HasField("orphan_timeout"):
        orphan = min(orphan, lost_after - LEASE_MARGIN_SECONDS)
    return orphan, max(lost_after, orphan + LEASE_MARGIN_SECONDS)


def _retries(work: AgentWork) -> RetryPlan:
    given, default = work.retries, RetryPlan()
    infrastructure = work.max_attempts - 1 if work.max_attempts else DEFAULT_INFRASTRUCTURE_RETRIES
    return RetryPlan(
        infrastructure=given.infrastructure if given.HasField("infrastructure") else infrastructure,
        rate_limit=given.rate_limit if given.HasField("rate_limit") else default.rate_limit,
        hang=given.hang if given.HasField("hang") else default.hang,
        schema=given.schema if given.HasField("schema") else default.schema,
        agent=given.agent if given.HasField("agent") else default.agent,
        first_pause_seconds=_seconds(given, "first_pause", default.first_pause_seconds),
        longest_pause_seconds=_seconds(given, "longest_pause", default.longest_pause_seconds),
    )


def _seconds(message: AgentWork | flow_service_pb2.Retries, name: str, default: float) -> float:
    if not message.HasField(name):  # type: ignore[arg-type]
        return default
    return float(getattr(message, name).ToTimedelta().total_seconds())
