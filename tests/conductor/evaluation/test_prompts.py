"""Prompts: persona, prompt, contracts, and earlier results within their limit. Keeps A8 F1 F2."""

import json
import re

import pytest

from conductor.evaluation.kinds.agent import MAX_PROMPT_BYTES, PromptError, build_parameters, build_prompt
from conductor.evaluation.kinds.gate import show
from conductor.evaluation.reports.results import Result
from conductor.evaluation.workers.frames import Frame
from conductor.flows.library.bundle import Bundle, read_bundle, write_bundle
from conductor.flows.library.library import Texts
from conductor.v1.flow_service_pb2 import Flow, GateWork
from tests.conductor.evaluation.story import agent, flow_of, fold

INPUTS = {"question": "why?", "band": "small"}
TEXTS = Texts({"me": "I am me.\n"}, {"evidence": "Cite.", "output": "End in JSON."})


def bundle(prompt: str, **fields: object) -> Bundle:
    flow = flow_of(fold("a", "x"), fold("b", "x"), agent("c", prompt, needs=("a", "b"), **fields))
    return read_bundle(write_bundle(flow, TEXTS))


def built(prompt: str, results: dict[str, Result] | None = None, **fields: object) -> str:
    return build_prompt(bundle(prompt, **fields), "c", INPUTS, results or {})


def test_a_prompt_is_the_persona_then_the_question_then_each_contract_once() -> None:
    """Keeps A8."""
    prompt = built("Tell me: {{ inputs.question }} ({{ band }})", persona="me", contracts=["evidence", "output"])

    assert prompt == "I am me.\n\nTell me: why? (small)\n\nCite.\n\nEnd in JSON.\n"
    assert built("Look.", contracts=["output", "output"]).count("End in JSON.") == 1


def test_a_megabyte_of_an_earlier_result_is_cut_to_its_limit_and_the_prompt_says_so() -> None:
    """Keeps F2."""
    results = {"a": Result("succeeded", "x" * 1_000_000, 1_000_000), "b": Result("skipped")}
    prompt = built("{{ steps.a.text }} | {{ steps.b.state }}", results)

    assert len(prompt) < 20_200
    assert "[Cut here: 980000 of 1000000 bytes of this result are left out.]" in prompt
    assert prompt.endswith("| skipped\n")


def test_each_result_has_its_own_limit_and_what_fits_is_whole() -> None:
    """Keeps F2."""
    results = {"a": Result("succeeded", "a" * 30, 30), "b": Result("succeeded", "b" * 31, 31)}
    prompt = built("{{ steps.a.text }}\n{{ steps.b.text }}", results, max_result_characters=30)

    assert prompt == "a" * 30 + "\n" + "b" * 30 + "\n[Cut here: 1 of 31 bytes of this result are left out.]\n"


def test_what_the_service_cut_before_counts_as_left_out() -> None:
    """Keeps F2."""
    prompt = built("{{ steps.a.text }}", {"a": Result("succeeded", "é" * 10, 5_000_000), "b": Result("failed")})

    assert "4999980 of 5000000 bytes" in prompt


def test_findings_that_do_not_fit_are_told_where_findings_are_read() -> None:
    """Keeps F2."""
    many = tuple({"title": f"finding {number}"} for number in range(1000))
    results = {"a": Result("succeeded", findings=many), "b": Result("succeeded", findings=many)}
    prompt = built("{% for f in steps.a.findings %}{{ f.title }};{% endfor %}", results, max_result_characters=1000)

    given = prompt.count(";")
    assert 10 < given < 100
    assert f"[Left out: {1000 - given} of the 1000 findings of step a. The first {given} are given above.]" in prompt
    assert "step b" not in prompt


def test_an_output_that_does_not_fit_is_shown_in_part() -> None:
    """Keeps F2."""
    results = {"a": Result("succeeded", output={"x": "y" * 500}), "b": Result("succeeded", output={"x": 3})}
    prompt = built("{{ steps.a.output }} {{ steps.b.output.x }}", results, max_result_characters=100)

    assert "bytes of this result are left out" in prompt
    assert prompt.endswith(" 3\n")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("fine\n{{ steps.a.output.missing }}", "line 2: .*missing"),
        ("{{ steps.nowhere.text }}", "line 1: .*nowhere"),
        ("{{ 'x' * 2000000 }}", f"2000001 bytes; the limit is {MAX_PROMPT_BYTES}"),
    ],
)
def test_a_prompt_that_cannot_be_built_says_why_and_where(prompt: str, said: str) -> None:
    """Keeps F1."""
    results = {"a": Result("succeeded", output={"x": 1}), "b": Result("succeeded")}

    with pytest.raises(PromptError, match=said):
        built(prompt, results)


def test_the_same_inputs_give_the_same_bytes() -> None:
    """Keeps F1."""
    results = {"a": Result("succeeded", "x", output={"b": 1, "a": [2]}), "b": Result("succeeded")}

    assert len({built("{{ steps.a }} {{ steps.a.output | tojson }} {{ inputs }}", results) for _ in range(5)}) == 1


def parameters(results: dict[str, Result] | None = None, **given: str) -> list[tuple[str, str]]:
    model = given.pop("model", "")
    asked = bundle("Look", parameters=given, model=model)
    return build_parameters(asked, "c", INPUTS, results or {})


def test_parameters_are_rendered_with_the_prompt_and_others_stay_as_they_are() -> None:
    """Keeps F1."""
    results = {"a": Result("succeeded", "x" * 5000, 5000), "b": Result("succeeded", "deep", 4)}

    assert parameters(results, lens="{{ steps.b.text }}", other="as it is\n", model="{{ band }}") == [
        ("lens", "deep"),
        ("model", "small"),
        ("other", "as it is\n"),
    ]
    assert parameters(lens="risks", other="as it is\n", model="m") == []


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 1 / 0 }}", "the parameter lens of step c cannot be rendered: line 1: division by zero"),
        ("{{ 'x' * 4001 }}", "the parameter lens of step c has 4001 characters; the limit is 4000"),
        ("{{ 'a\\0b' }}", "the parameter lens of step c holds NUL"),
    ],
)
def test_a_parameter_that_cannot_be_made_fails_its_step(template: str, why: str) -> None:
    with pytest.raises(PromptError, match=re.escape(why)):
        parameters(lens=template)


def test_a_gate_that_has_nothing_to_show_shows_an_empty_line() -> None:
    """A decision is about a text, so there is always one."""
    flow = Flow(steps=[Flow.Step(id="ask", gate=GateWork(show="{% if false %}x{% endif %}"))])
    asked = Frame({"step": "ask"}, (write_bundle(flow, TEXTS), json.dumps(INPUTS).encode(), b"{}"))

    assert show(asked).attachments == (b"\n",)
