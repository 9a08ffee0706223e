"""The defaults of a flow: what each step has of them, and what is wrong with them is told once."""

import pytest

from conductor.config import Clocks
from conductor.core.model.plan import AgentPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text
from conductor.flows.defaults import with_defaults
from conductor.flows.plans import plan_steps
from conductor.v1.flow_service_pb2 import Flow

LIBRARY = Library(frozenset({"me"}), frozenset({"evidence", "output"}))
TEXT = """\
defaults:
  agents: [reader, survey]
  model: qwen3
  persona: me
  contracts: [evidence]
  parameters: {depth: "1", style: terse}
  timeout: 5m
  idle_timeout: 1500ms
  retries: {hang: 2, agent: 1, first_pause: 1500ms}
  max_result_characters: 500
steps:
  - id: plain
    agent: {prompt: Look}
  - id: own
    agent:
      agents: [survey]
      prompt: Look
      contracts: [output]
      parameters: {depth: "2", model: small}
      idle_timeout: 2s
      retries: {agent: 0, first_pause: 2s}
  - id: folded
    needs: [plain]
    fold: {template: done}
"""


def judged(text: str) -> Flow:
    judgement = judge_text(text.encode(), "x.yaml", LIBRARY)
    assert judgement.problems == ()
    assert judgement.flow is not None
    return judgement.flow


def told(text: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.field) for problem in judge_text(text.encode(), "x.yaml", LIBRARY).problems]


def test_a_step_has_the_defaults_that_it_does_not_give_itself() -> None:
    plain, own, folded = with_defaults(judged(TEXT)).steps

    assert (list(plain.agent.agents), plain.agent.persona) == (["reader", "survey"], "me")
    assert (plain.agent.prompt, plain.agent.model) == ("Look", "qwen3")
    assert (plain.agent.idle_timeout.seconds, plain.agent.idle_timeout.nanos) == (1, 500_000_000)
    assert (list(own.agent.agents), list(own.agent.contracts)) == (["survey"], ["output"])
    assert dict(own.agent.parameters) == {"depth": "2", "style": "terse", "model": "small"}
    assert own.agent.model == ""
    assert (own.agent.idle_timeout.seconds, own.agent.idle_timeout.nanos) == (2, 0)
    assert (own.agent.retries.hang, own.agent.retries.agent) == (2, 0)
    assert (own.agent.retries.first_pause.seconds, own.agent.retries.first_pause.nanos) == (2, 0)
    assert not folded.HasField("agent")


def test_filling_in_defaults_twice_changes_nothing_and_the_plan_has_them() -> None:
    filled = with_defaults(judged(TEXT))
    plain = plan_steps(filled, {}, Clocks())[0].work

    assert with_defaults(filled) == filled
    assert isinstance(plain, AgentPlan)
    assert (plain.timeout_seconds, plain.retries.hang, plain.model) == (300.0, 2, "qwen3")


def test_the_revision_is_that_of_what_the_author_wrote() -> None:
    flow = judged(TEXT)

    assert flow.defaults.persona == "me"
    assert not flow.steps[0].agent.persona
    assert flow.revision != judged(TEXT.replace('depth: "1"', 'depth: "3"')).revision


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        ("agents: [No]", [(2, "defaults.agents[0]")]),
        ("persona: nobody", [(2, "defaults.persona")]),
        ("contracts: [evidence, none]", [(2, "defaults.contracts[1]")]),
        ("timeout: 0s", [(2, "defaults.timeout")]),
        ("retries: {hang: 11}", [(2, "defaults.retries.hang")]),
        ("prompt: Look", [(2, "defaults.prompt")]),
        ("parameters: {a: '{{ nothing }}'}", [(2, "defaults.parameters.a")]),
        ("model: '{{ inputs.modle }}'", [(2, "defaults.model")]),
        ("lost_after: 1s", [(2, "defaults.lost_after")]),
    ],
)
def test_what_is_wrong_with_a_default_is_told_once_where_it_stands(line: str, problems: list[tuple[int, str]]) -> None:
    """Keeps A4."""
    steps = "".join(f"  - {{id: s{n}, agent: {{prompt: Look}}}}\n" for n in range(3))
    agents = "" if line.startswith("agents") else "  agents: [survey]\n"

    assert told(f"defaults:\n  {line}\n{agents}steps:\n{steps}") == problems


def test_a_step_without_an_agent_of_its_own_or_of_the_flow_is_told() -> None:
    assert told("steps: [{id: a, agent: {prompt: Look}}]") == [(1, "steps[0].agent.agents")]


@pytest.mark.parametrize("priority", [-101, 101])
def test_a_priority_has_bounds(priority: int) -> None:
    text = f"steps: [{{id: a, priority: {priority}, fold: {{template: x}}}}]"

    assert told(text) == [(1, "steps[0].priority")]
    assert plan_steps(judged(text.replace(str(priority), str(priority // 2))), {})[0].priority == priority // 2


def test_a_model_beside_its_parameter_is_refused() -> None:
    text = "steps: [{id: a, agent: {agents: [x], prompt: y, model: m, parameters: {model: n}}}]"

    assert told(text) == [(1, "steps[0].agent.model")]
