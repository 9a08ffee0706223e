"""Flows whose steps declare the form of an output: names and types are checked before a run. Keeps A4, F3."""

import pytest

from conductor.core.model.plan import ForeachPlan, OnInvalid
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_message, judge_text
from conductor.flows.plans import plan_steps
from conductor.v1.flow_service_pb2 import AgentWork, Flow, OutputSpec, PanelWork

TYPED = """\
steps:
  - id: a
    agent:
      agents: [survey]
      prompt: Look
      output:
        schema:
          type: object
          properties: {list: {type: array, items: {type: object, properties: {name: {type: string}}}}, sure: {type: boolean}}
  - id: b
    needs: [a]
    skip_when: GUARD
    agent: {agents: [survey], prompt: "TEMPLATE"}
"""


@pytest.mark.parametrize(
    ("guard", "template", "problem"),
    [
        ("steps.a.output.list.size() > 2 && steps.a.output.sure == null", "{{ steps.a.output.list }}", ""),
        ("steps.a.output.list[0].name == 'x'", "{{ steps.a.output.items() }} {{ steps.a.error.reason }}", ""),
        ("has(steps.a.output.sure)", "{{ steps.a['output'].sure }}", ""),
        ("steps.a.output.lists.size() > 2", "x", "the output of step 'a' has no 'lists': did you mean 'list'?"),
        (
            "steps.a.output.list.exists(x, x.nam == 'y')",
            "x",
            "an entry of 'list' of the output of step 'a' has no 'nam': did you mean 'name'",
        ),
        ("steps.a.output.sure == 'yes'", "x", "no matching overload"),
        ("steps.a.error.why == 'x'", "x", "an error has no 'why'; it has reason, message"),
        ("band != ''", "{{ steps.a.output.lists }}", "steps.a.output has no 'lists'; it has list, sure"),
        ("band != ''", "{{ steps.a.outputs }}", "a step has no 'outputs'"),
    ],
)
def test_names_and_types_of_an_output_are_checked_where_its_schema_says_them(
    guard: str, template: str, problem: str
) -> None:
    """Keeps A4, A6 and F3."""
    text = TYPED.replace("GUARD", guard).replace("TEMPLATE", template)
    found = [one.text for one in judge_text(text.encode(), "flow.yaml", None).problems]

    assert (problem in found[0]) if problem else not found


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("{schema: {type: object}}", ""),
        ("{findings: true, min_items: 1}", ""),
        ("{}", "an output has a form"),
        ("{findings: false}", "must be true, or not be there"),
        ("{schema: {}}", "must say what the output is"),
        ("{schema: {type: string}}", "type must be object or array"),
        ("{schema: {type: objct}}", "there is no type 'objct': did you mean 'object'? There are array"),
        ("{schema: {type: object, $ref: '#/nowhere'}}", "leads nowhere"),
        ("{schema: {type: object, allOf: [{$ref: '#'}]}}", "refers to itself without end"),
        ("{schema: {type: object, properties: {x: {pattern: '('}}}}", "is not a regular expression"),
        ("{schema: {type: object}, min_items: 2}", "counts a list"),
        ("{schema: {type: array}, min_items: 501}", "must be 1 to 500"),
        ("{schema: {type: array}, findings: true}", "stands beside"),
        ("{schema: {type: array}, on_invalid: ignore}", "must be one of"),
    ],
)
def test_an_output_has_one_form_that_can_be_asked_for(output: str, problem: str) -> None:
    """Keeps A4 and F3."""
    text = f"steps: [{{id: a, agent: {{agents: [survey], prompt: Look, output: {output}}}}}]"
    found = [one.text for one in judge_text(text.encode(), "flow.yaml", None).problems]

    assert (problem in " ".join(found)) if problem else not found


def test_the_agents_of_a_panel_have_the_output_of_the_panel() -> None:
    """Keeps F3."""
    output = OutputSpec(on_invalid=OutputSpec.ON_INVALID_CONTINUE)
    output.schema.update({"type": "object"})
    step = Flow.Step(id="panel", panel=PanelWork(agents=["a", "b"], prompt="Look", output=output))
    work = plan_steps(Flow(steps=[step]), {})[0].work

    assert isinstance(work, ForeachPlan)
    assert [(asked.on_invalid, asked.has_schema) for asked in work.steps] == [(OnInvalid.CONTINUE, True)]


def test_outputs_whose_schemas_are_too_large_together_are_refused_at_once() -> None:
    """Keeps A4: judging each of them takes time."""
    flow = Flow(name="flows/x")
    for index in range(20):
        step = flow.steps.add(id=f"s{index}", agent=AgentWork(agents=["survey"], prompt="Look"))
        step.agent.output.schema.update(
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(600)}}
        )
    found = judge_message(flow, "flow", Library()).problems

    assert ["the schemas of their outputs have" in one.text for one in found] == [True]
