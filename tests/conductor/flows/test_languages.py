"""The two languages of authors: what their expressions and templates may say. Keeps A4 A6."""

from typing import Any

import pytest

from conductor.flows.language.expressions import ExpressionError, decide, evaluate
from conductor.flows.language.templates import TemplateError, render, template_problems

STEP = {"state": "succeeded", "text": "hello", "output": {"x": 3.0}, "findings": [{"severity": "high"}]}
VALUES: dict[str, Any] = {"inputs": {"depth": 3, "band": "small"}, "band": "small", "steps": {"a": STEP, "items": STEP}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("band == 'small'", True),
        ("inputs.depth > 2.5", True),
        ("inputs.depth == 3 && steps.a.output.x == 3", True),
        ("steps.a.findings.exists(f, f.severity == 'high')", True),
        ("has(inputs.missing)", False),
        ("steps.a.text.matches('^(h+)+$')", False),
        ("steps.a.state in ['failed', 'skipped']", False),
    ],
)
def test_guards_are_decided(expression: str, *, value: bool) -> None:
    """Keeps A6."""
    assert decide(expression, VALUES) is value


@pytest.mark.parametrize(
    "expression", ["inputs.missing == 1", "1 / 0 == 1", "steps.a.output.y", "steps.a.text", "inputs["]
)
def test_a_guard_that_has_no_truth_is_an_error_that_says_why(expression: str) -> None:
    with pytest.raises(ExpressionError):
        decide(expression, VALUES)


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("[[b'a']]", "bytes"),
        ("{'a': duration('1s')}", "a duration"),
        ("[timestamp('2020-01-01T00:00:00Z')]", "a time"),
        ("type(1)", "Type"),
        ("[1.0 / 0.0]", "an infinite number"),
        ("0.0 / 0.0", "or none at all"),
    ],
)
def test_a_value_that_no_json_holds_is_an_error_that_names_it(expression: str, what: str) -> None:
    with pytest.raises(ExpressionError, match=f"it holds .*{what}.*, which JSON does not have"):
        evaluate(expression, VALUES)


@pytest.mark.parametrize(
    ("expression", "silent", "spoken"),
    [
        ("has(steps.a.output.items)", False, True),
        ("!has(steps.a.output.items)", True, False),
        ("has(steps.a.output.items[0].x)", False, True),
        ("has(steps.a.output['k'].x.y)", False, False),
        ("has(steps.a.output.none)", False, False),
        ("has(steps.a.output)", False, True),
        ("has(steps.a.output.items) && size(steps.a.output.items) > 0", False, True),
        ("steps.a.output != null && steps.a.output.items.size() > 0", False, True),
        ("!has(steps.a.output.items) && steps.a.output == null", True, False),
        ("'items' in steps.a.output", False, True),
        ("!('items' in steps.a.output) && null == steps.a.output", True, False),
        ("steps.a.output.exists(name, name == 'items')", False, True),
        ("size(steps.a.output) == 0", True, False),
        ("steps.a.text == 'has(steps.a.output.items)'", False, False),
        ("steps.a.output.other == null", True, True),
        ("steps.a.output.k.y.z == null && steps.a.output.items[7].x == null", True, True),
        ("steps.a.output.k.x == 2", False, True),
        ("!has(steps.a.output.k) || steps.a.output.k.x == 3", True, False),
        ("steps.a.findings.exists(f, f.severity == 'high' && f.none == null)", True, True),
        ("steps.a.error.reason == null && steps.a.text.size() == 5", True, True),
    ],
)
def test_a_guard_about_a_result_is_decided_where_the_agent_gave_none(
    expression: str, *, silent: bool, spoken: bool
) -> None:
    def decided(output: Any) -> bool:
        return decide(expression, {"inputs": {}, "band": "small", "steps": {"a": {**STEP, "output": output}}})

    assert (decided(None), decided({"items": [{"x": 1}], "k": {"x": 2}, "none": None})) == (silent, spoken)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ steps.a.text }} {{ band }}", "hello small"),
        ("{{ steps.items.text }}", "hello"),
        ("{% for id, step in steps.items() %}{{ id }}{% endfor %}", ""),
        ("{% for f in steps.a.findings %}\n- {{ f.severity }}\n{% endfor %}", "- high\n"),
        ("<b>{{ '<i>' }}</b>", "<b><i></b>"),
    ],
)
def test_templates_are_rendered_with_members_before_methods(template: str, text: str) -> None:
    if "steps.items()" in template:
        # A step called `items` hides the method: the author meant the step.
        with pytest.raises(TemplateError):
            render(template, VALUES)
    else:
        assert render(template, VALUES) == text


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("x\n{{ inputs.missing }}", 2),
        ("x\n\n{{ ''.__class__ }}", 3),
        ("{{ steps.a.text.upper }}", 1),
        ("{{ lipsum() }}", 1),
        ("{{ [1, 2] | random }}", 1),
        ("{{ 1 // 0 }}", 1),
        ("{{ steps.a.findings.append(1) }}", 1),
        ("{{ ''.join.__globals__ }}", 1),
        ("{{ '%s' | format(''.__class__) }}", 1),
        ("{{ ('a' | attr('__class__')) }}", 1),
        ("{{ range(10000000) | list | length }}", 1),
        ("{% include 'x' %}", 0),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", 0),
    ],
)
def test_what_a_template_must_not_do_is_an_error_with_its_line(template: str, line: int) -> None:
    """Keeps A1."""
    with pytest.raises(TemplateError) as caught:
        render(template, VALUES)

    assert line in {caught.value.line, 0}


def test_format_strings_cannot_climb_out() -> None:
    """Keeps A1."""
    with pytest.raises(TemplateError):
        render("{{ '{0.__class__.__mro__}'.format(1) }}", VALUES)


def test_a_number_too_large_to_be_written_down_is_an_error_of_its_template_and_not_a_crash() -> None:
    assert template_problems("{{ 10**100000 }}", inputs=(), steps=()) == []
    with pytest.raises(TemplateError, match="line 1"):
        render("{{ 10**100000 }}", {})
