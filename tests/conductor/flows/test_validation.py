"""Validation: every problem at once, with file, line and field. Keeps A3 A4."""

import json
from pathlib import Path

import pytest
from google.protobuf import json_format

from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_message, judge_text, line_of, parsed, problems_of
from conductor.flows.language.counts import MAX_AGENTS, MAX_CONTRACTS, MAX_PARAMETERS, MAX_STEPS
from conductor.flows.library.revision import revision_of
from conductor.v1.flow_service_pb2 import AgentWork, Flow, FoldWork

LIBRARY = Library(frozenset({"surveyor"}), frozenset({"evidence", "output"}))

FAULTY = """\
title: Five planted faults
steps:
  - id: one
    needs: [nowhere]
    agent:
      agents: [survey]
      prompt: look
  - id: two
    exclude_when: band > 3
    agent:
      agents: [survey]
      persona: missing
      prompt: look
  - id: one
    fold:
      template: |
        fine
        {{ steps.two.text }}
"""


def told(text: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.field) for problem in judge_text(text.encode(), "x.yaml", LIBRARY).problems]


def step(body: str, before: str = "") -> str:
    return f"{before}steps:\n  - id: a\n{body}"


AGENT = "    agent: {agents: [survey], prompt: look}\n"


def test_five_planted_faults_are_five_problems_at_the_right_lines() -> None:
    """Keeps A4."""
    assert told(FAULTY) == [
        (4, "steps[0].needs[0]"),
        (9, "steps[1].exclude_when"),
        (12, "steps[1].agent.persona"),
        (14, "steps[2].id"),
        (18, "steps[2].fold.template"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "field", "said"),
    [
        ("", 1, "", "must be an object"),
        ("title: x", 1, "steps", "at least one step"),
        (step(AGENT, "titel: x\n"), 1, "titel", "is not a field: did you mean 'title'? There are name, "),
        (step(AGENT, "zzz: x\n"), 1, "zzz", "is not a field; there are name, "),
        (step(AGENT, "title: [x]\n"), 1, "title", "must be a string, not a list"),
        (step(AGENT, "title: 3\n"), 1, "title", "must be a string, not the number 3"),
        (step(AGENT, "question_required: 'yes'\n"), 1, "question_required", "true or false"),
        (step(AGENT, "bands: [SMALL]\n"), 1, "bands[0]", "BAND_SMALL, BAND_MEDIUM, BAND_LARGE"),
        (step(AGENT, "bands: [BAND_SMALL, BAND_SMALL]\n"), 1, "bands[1]", "each once"),
        (step(AGENT, "name: survey\n"), 1, "name", "not 'survey': rename the file, or give the flow a name"),
        (step("    fold: {template: '{{ 1 | lenght }}'}\n"), 3, "steps[0].fold.template", "Did you mean 'length'?"),
        (step(AGENT + "    skip_when: band = 'x'\n"), 4, "steps[0].skip_when", "compare with =="),
        (step(AGENT + "    skip_when: band == 'x' and true\n"), 4, "steps[0].skip_when", "write &&"),
        (step("    foreach: {items: [a, b], steps: []}\n"), 3, "steps[0].foreach.items", "write it as CEL in quotes"),
        (step(AGENT, "input_schema: {type: objekt}\n"), 1, "input_schema", "objekt"),
        (step(AGENT, "input_schema: {type: array}\n"), 1, "input_schema", "object"),
        (step(AGENT, "input_schema: {properties: {band: {}}}\n"), 1, "input_schema", "without being declared"),
        (
            step(AGENT, "input_schema: {properties: {x: {$ref: 'http://example.org/x'}}}\n"),
            1,
            "input_schema",
            "leads nowhere",
        ),
        (step(AGENT, "report_template: '{{ steps.b.text }}'\n"), 1, "report_template", "'b'"),
        (step(AGENT + "    on_failure: CONTINUE\n"), 4, "steps[0].on_failure", "ON_FAILURE_CONTINUE"),
        (step(AGENT + "    fold: {template: x}\n"), 4, "steps[0].fold", "beside 'agent'"),
        (step("    label: x\n"), 2, "steps[0]", "does something"),
        (step("    agent: {prompt: look}\n"), 3, "steps[0].agent.agents", "at least one"),
        (step("    agent: {agents: [a], prompt: ' '}\n"), 3, "steps[0].agent.prompt", "empty"),
        (step("    agent: {agents: ['A b'], prompt: x}\n"), 3, "steps[0].agent.agents[0]", "agent's name"),
        (step("    agent: {agents: [a], prompt: x, timeout: 30}\n"), 3, "steps[0].agent.timeout", "duration"),
        (step("    agent: {agents: [a], prompt: x, timeout: 0s}\n"), 3, "steps[0].agent.timeout", "more than 0"),
        (step("    agent: {agents: [a], prompt: x, timeout: 90000s}\n"), 3, "steps[0].agent.timeout", "at most"),
        (step("    agent: {agents: [a], prompt: x, max_attempts: 11}\n"), 3, "steps[0].agent.max_attempts", "1 to 10"),
        (step("    agent: {agents: [a], prompt: x, max_attempts: 1.5}\n"), 3, "steps[0].agent.max_attempts", "whole"),
        (
            step("    agent: {agents: [a], prompt: x, contracts: [nothing]}\n"),
            3,
            "steps[0].agent.contracts[0]",
            "evidence",
        ),
        (
            step("    agent: {agents: [a], prompt: x, contracts: [output, output]}\n"),
            3,
            "steps[0].agent.contracts[1]",
            "twice",
        ),
        (
            step("    agent: {agents: [a], prompt: x, parameters: {n: 3}}\n"),
            3,
            "steps[0].agent.parameters.n",
            "a string",
        ),
        (
            step('    agent: {agents: [a], prompt: x, parameters: {n: "a\\0b"}}\n'),
            3,
            "steps[0].agent.parameters.n",
            "must not hold NUL",
        ),
        (step("    fold: {merge: {}}\n"), 3, "steps[0].fold", "'needs'"),
        (step("    needs: [a]\n" + AGENT), 3, "steps[0].needs", "a -> a"),
        (step(AGENT + "    exclude_when: band ==\n"), 4, "steps[0].exclude_when", "Syntax error"),
        (step(AGENT + "    exclude_when: inputs['question'] == ''\n"), 4, "steps[0].exclude_when", "without brackets"),
        (step(AGENT + "    exclude_when: 1 + 1\n"), 4, "steps[0].exclude_when", "but is int"),
        (step(AGENT + "    exclude_when: steps.a.text == ''\n"), 4, "steps[0].exclude_when", "only skip_when"),
        (step(AGENT + "    exclude_when: inputs.depht > 3\n"), 4, "steps[0].exclude_when", "no input 'depht'"),
        (
            step(AGENT + "    skip_when: >-\n      band == 'small'\n      && steps.b.text == ''\n"),
            5,
            "steps[0].skip_when",
            "'b'",
        ),
        (step(AGENT + "    skip_when: |\n      band == 'small' &&\n      nope\n"), 6, "steps[0].skip_when", "'nope'"),
        (step("    agent: {agents: [a], prompt: '{% if %}'}\n"), 3, "steps[0].agent.prompt", "Expected an expression"),
        (
            step("    agent: {agents: [a], prompt: '{{ nope }}'}\n"),
            3,
            "steps[0].agent.prompt",
            "there is no 'nope'",
        ),
        (
            step("    agent: {agents: [a], prompt: '{{ inputs.nope }}'}\n"),
            3,
            "steps[0].agent.prompt",
            "no input 'nope'",
        ),
        (step("    agent: {agents: [a], prompt: '{% include \"x\" %}'}\n"), 3, "steps[0].agent.prompt", "included"),
        (step("    agent: {agents: [a], prompt: \"{{ ''.__class__ }}\"}\n"), 3, "steps[0].agent.prompt", "__class__"),
        (
            step("    agent:\n      agents: [a]\n      prompt: |\n        x\n        {{ y }}\n"),
            7,
            "steps[0].agent.prompt",
            "'y'",
        ),
        (step(AGENT + "    id: b\n"), 4, "id", "twice"),
        (step("    gate: {show: ' '}\n"), 3, "steps[0].gate.show", "what the person reads"),
        (step("    gate: {show: x, title: 'a\\nb'}\n".replace("'", '"')), 3, "steps[0].gate.title", "one line"),
        (step("    gate: {show: x, decisions: [approve, retry]}\n"), 3, "steps[0].gate.decisions[1]", "on_failure"),
        (step("    gate: {show: x, decisions: [reject]}\n"), 3, "steps[0].gate.decisions", "nothing through"),
        (step("    gate: {show: x, decisions: [skip, skip]}\n"), 3, "steps[0].gate.decisions[1]", "once"),
        (step("    gate: {show: x, expires: 31d}\n"), 3, "steps[0].gate.expires", "at most 30d, not 31d"),
        (step("    gate: {show: x, on_expiry: approve}\n"), 3, "steps[0].gate.on_expiry", "reject"),
        (step("    gate: {show: '{{ steps.b.text }}'}\n"), 3, "steps[0].gate.show", "'b'"),
    ],
)
def test_each_fault_is_told_where_it_stands(text: str, line: int, field: str, said: str) -> None:
    """Keeps A4."""
    problems = judge_text(text.encode(), "x.yaml", LIBRARY).problems
    here = [problem for problem in problems if problem.field == field]

    assert [problem.line for problem in here] == [line], problems
    assert said in here[0].text


def test_a_cycle_is_named_in_its_order() -> None:
    text = "steps:\n" + "".join(
        f"  - id: {name}\n    needs: [{need}]\n    fold: {{template: x}}\n" for name, need in ("ab", "bc", "ca")
    )
    problems = judge_text(text.encode(), "x.yaml", LIBRARY).problems

    assert [(p.line, p.text.split(": ")[1]) for p in problems] == [(3, "a -> b -> c -> a")]


def test_two_hundred_steps_are_a_flow_and_one_more_is_none() -> None:
    def flow(count: int) -> bytes:
        return ("steps:\n" + "".join(f"  - {{id: s{n}, fold: {{template: x}}}}\n" for n in range(count))).encode()

    assert problems_of(flow(200), "x.yaml", None) == ()
    assert [problem.field for problem in problems_of(flow(201), "x.yaml", None)] == ["steps"]


def test_a_file_is_named_after_itself_and_may_name_itself() -> None:
    assert flow_in(step(AGENT), "deep/look-twice.yaml").name == "flows/look-twice"
    assert flow_in(step(AGENT, "name: flows/other\n"), "x.yaml").name == "flows/other"


def test_a_schema_that_admits_more_lets_guards_and_prompts_name_more() -> None:
    text = step(
        "    exclude_when: inputs.x > 3\n    agent: {agents: [a], prompt: '{{ inputs.y }}'}\n", "input_schema: {%s}\n"
    )

    assert told(text % "additionalProperties: true") == []
    assert told(text % "properties: {x: {type: integer}}") == [(5, "steps[0].agent.prompt")]


def test_folds_and_reports_have_the_filters_for_foreign_text() -> None:
    filters = "{{ inputs.question | inert | cell | code | fenced | quoted }}"

    assert told(step(f'    fold: {{template: "{filters}"}}\n', f'report_template: "{filters}"\n')) == []


def test_both_spellings_of_a_field_are_one_field() -> None:
    assert flow_in(step(AGENT, "questionRequired: true\n")).question_required
    assert told(step(AGENT, "question_required: true\nquestionRequired: true\n")) == [(2, "question_required")]


def flow_in(text: str, path: str = "x.yaml") -> Flow:
    judgement = judge_text(text.encode(), path, LIBRARY)
    assert judgement.flow is not None, judgement.problems
    return judgement.flow


RICH = """\
title: Rich 🙂
description: >-
  Two lines
  folded.
input_schema:
  type: object
  properties: {depth: {type: integer, minimum: 1, default: 2}, ratio: {type: number}}
bands: [BAND_SMALL, BAND_LARGE]
question_required: true
report_template: "{{ report.verdict }} {{ steps.a.text | length }}"
steps:
  - id: a
    label: First
    exclude_when: inputs.depth > 3 && band == "large"
    on_failure: ON_FAILURE_CONTINUE
    agent:
      agents: [survey, other]
      persona: surveyor
      prompt: "{{ inputs.question }} {{ inputs['depth'] }} {{ band }}"
      contracts: [evidence, output]
      parameters: {lens: risks}
      timeout: 90.5s
      max_attempts: 2
  - id: b
    needs: [a]
    skip_when: steps.a.findings.exists(f, f.severity == "high") || size(steps.a.text) > 3 || steps.a.output.x == 3
    fold: {template: "{% for id, s in steps.items() %}{{ id }} {{ s.state }}{% endfor %}"}
  - id: c
    needs: [a, b]
    fold: {merge: {max_findings: 3}}
"""


@pytest.mark.parametrize("keep_names", [True, False])
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_flow_as_json_in_a_file_loads_to_the_same_revision(*, keep_names: bool, ensure_ascii: bool) -> None:
    """Keeps A3."""
    flow = flow_in(RICH, "rich.yaml")
    flow.source_path, flow.layer = "/somewhere/rich.yaml", Flow.LAYER_PROJECT
    flow.shadows.append("/elsewhere/rich.yaml")
    values = json_format.MessageToDict(flow, preserving_proto_field_name=keep_names)

    again = flow_in(json.dumps(values, indent=2, ensure_ascii=ensure_ascii), "saved-under-another-name.json")

    assert len(flow.revision) == 64
    assert again.revision == flow.revision == revision_of(again)


def test_the_revision_changes_with_what_an_author_wrote() -> None:
    assert flow_in(RICH).revision != flow_in(RICH.replace("depth > 3", "depth > 4")).revision


def test_an_inline_flow_is_judged_by_the_same_rules_at_line_0() -> None:
    """Keeps A3 A4."""
    broken = Flow(steps=[Flow.Step(id="A", needs=["x"], agent=AgentWork(agents=["a"], prompt="{{ y }}"))])
    good = Flow(steps=[Flow.Step(id="a", fold=FoldWork(template="x"))])

    problems = judge_message(broken, "flow", LIBRARY).problems

    assert {(problem.line, problem.field) for problem in problems} == {
        (0, "steps[0].id"),
        (0, "steps[0].needs[0]"),
        (0, "steps[0].agent.prompt"),
    }
    judgement = judge_message(good, "flow", LIBRARY)
    assert judgement.flow is not None
    assert (judgement.flow.name, len(judgement.flow.revision)) == ("flows/inline", 64)


def test_the_command_line_reads_personas_of_the_file_s_project(tmp_path: Path) -> None:
    text = step("    agent: {agents: [a], prompt: x, persona: mine}\n").encode()
    personas = tmp_path / ".conductor" / "personas"
    personas.mkdir(parents=True)
    (personas / "mine.md").write_text("You are mine.")

    assert [problem.field for problem in problems_of(text, "x.yaml", None)] == ["steps[0].agent.persona"]
    assert problems_of(text, "x.yaml", tmp_path) == ()


def test_what_a_flow_names_that_is_sent_is_left_to_the_conductor_that_gets_it() -> None:
    text = step("    agent: {agents: [a], prompt: x, persona: elsewhere, contracts: [there]}\n").encode()
    flow, _, problems = parsed(text, "x.yaml")

    assert problems == ()
    assert flow is not None
    assert (flow.revision, flow.steps[0].agent.persona) == ("", "elsewhere")
    assert line_of(text, "steps[0].agent.persona") == text.decode()[: text.index(b"persona")].count("\n") + 1


STEPS = [{"id": f"s{number}", "fold": {"template": "x"}} for number in range(MAX_STEPS)]
NAMES = [f"n{number}" for number in range(MAX_STEPS)]


def agent_with(name: str, values: object) -> dict[str, object]:
    return {"steps": [{"id": "a", "agent": {"agents": ["survey"], "prompt": "x", name: values}}]}


@pytest.mark.parametrize(
    ("flow", "field", "most", "count"),
    [
        ({"steps": [*STEPS, {"id": "B", "needs": ["x"]}]}, "steps", MAX_STEPS, MAX_STEPS + 1),
        ({"steps": 25 * [{"id": "B", "needs": NAMES}] + STEPS}, "steps", MAX_STEPS, MAX_STEPS + 25),
        ({"bands": 4 * ["BAND_SMALL"], "steps": 2 * STEPS[:1]}, "bands", 3, 4),
        (
            {"steps": [{"id": "a", "needs": [*NAMES, "x"], "fold": {"template": "x"}}]},
            "steps[0].needs",
            MAX_STEPS,
            MAX_STEPS + 1,
        ),
        (agent_with("agents", ["x"] * (MAX_AGENTS + 1)), "steps[0].agent.agents", MAX_AGENTS, MAX_AGENTS + 1),
        (
            agent_with("contracts", ["x"] * (MAX_CONTRACTS + 1)),
            "steps[0].agent.contracts",
            MAX_CONTRACTS,
            MAX_CONTRACTS + 1,
        ),
        (
            agent_with("parameters", dict.fromkeys(NAMES, "x" * 5000)),
            "steps[0].agent.parameters",
            MAX_PARAMETERS,
            MAX_STEPS,
        ),
    ],
)
def test_a_list_that_is_too_long_is_the_one_thing_that_is_wrong_with_a_flow(
    flow: dict[str, object], field: str, most: int, count: int
) -> None:
    """Nothing else is judged: each of these lists holds other problems."""
    expected = [(field, f"has at most {most} entries, this has {count}")]

    of_text = judge_text(json.dumps(flow).encode(), "x.json", LIBRARY).problems
    of_message = judge_message(json_format.ParseDict(flow, Flow()), "flow", LIBRARY).problems

    assert [(problem.field, problem.text) for problem in of_text] == expected
    assert [(problem.field, problem.text) for problem in of_message] == expected


def test_lists_as_long_as_they_may_be_are_no_problem() -> None:
    last = {"id": "last", "needs": [step["id"] for step in STEPS[1:]], "agent": agent_with_all_it_may()}
    flow = {"bands": ["BAND_SMALL", "BAND_MEDIUM", "BAND_LARGE"], "steps": [*STEPS[1:], last]}
    library = Library(frozenset(), frozenset(NAMES))

    assert judge_text(json.dumps(flow).encode(), "x.json", library).problems == ()
    assert judge_message(json_format.ParseDict(flow, Flow()), "flow", library).problems == ()


def agent_with_all_it_may() -> dict[str, object]:
    parameters = dict.fromkeys(NAMES[:MAX_PARAMETERS], "x")
    return {
        "agents": NAMES[:MAX_AGENTS],
        "prompt": "x",
        "contracts": NAMES[:MAX_CONTRACTS],
        "parameters": parameters,
    }


def test_problems_are_bounded_in_number_and_in_length() -> None:
    text = "steps:\n" + "".join(f"  - {{id: s{n}, {'x' * 900}: 1, y: 1}}\n" for n in range(150))
    problems = judge_text(text.encode(), "x.yaml", LIBRARY).problems

    assert len(problems) == 200
    assert all(len(problem.text) <= 600 for problem in problems)


@pytest.mark.parametrize("name", ["in", "self", "let", "none", "not", "item", "steps"])
def test_an_item_has_no_name_that_an_expression_or_a_template_reads_otherwise(name: str) -> None:
    body = f"    foreach: {{items: '[1]', as: {name}, steps: [{{id: b, fold: {{template: x}}}}]}}\n"

    assert told(step(body)) == [(3, "steps[0].foreach.as")]
