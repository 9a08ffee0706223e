"""Hostile flow files are refused, or found good, in bounded time and memory; nothing of them is computed. Keeps A4."""

import itertools
import json
import resource
import time
from collections.abc import Callable

import pytest

from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text
from conductor.flows.language.counts import MAX_STEPS
from conductor.flows.language.templates import MAX_FLOW_NODES, MAX_TEMPLATE_NODES

LIBRARY = Library()
MOST_SECONDS = 5.0  # of the processor; the most that was seen is 1.5 s, for a file of a mebibyte
MOST_MEBIBYTES = 200


def fold(template: str) -> str:
    return json.dumps({"steps": [{"id": "a", "fold": {"template": template}}]})


def guard(expression: str) -> str:
    return json.dumps({"steps": [{"id": "a", "skip_when": expression, "fold": {"template": "x"}}]})


def steps(count: int) -> str:
    return json.dumps({"steps": [{"id": f"s{n}", "fold": {"template": "x"}} for n in range(count)]})


def nested(depth: int) -> str:
    step: dict[str, object] = {"id": "end", "fold": {"template": "x"}}
    for level in range(depth):
        step = {"id": f"s{level}", "foreach": {"items": "[1]", "steps": [step]}}
    return json.dumps({"steps": [step]})


def aliases() -> str:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    names = "abcdefghijkl"
    lines += [f"{name}: &{name} [{','.join(['*' + before] * 10)}]" for before, name in itertools.pairwise(names)]
    return "\n".join(lines)


def merges() -> str:
    many = ",".join(f"k{n}: 1" for n in range(1000))
    return f"a: &a {{{many}}}\n" + "".join(f"b{n}: {{<<: [{','.join(['*a'] * 50)}]}}\n" for n in range(100))


def defaults() -> str:
    """One file of 10 KiB whose defaults are 200 times as much."""
    shared = {"agents": ["a"], "parameters": {f"p{n}": "{{ band }}" * 100 for n in range(32)}}
    return json.dumps({"defaults": shared, "steps": [{"id": f"s{n}", "agent": {"prompt": "x"}} for n in range(200)]})


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: steps(10_000), f"has at most {MAX_STEPS} entries, this has 10000"),
        (lambda: "a: " + "[" * 5000 + "]" * 5000, "nested more than 40 deep"),
        (lambda: nested(20), "nested more than 40 deep"),
        (lambda: nested(9), "nested too deep: steps in steps have at most 4 levels"),
        (aliases, "more than 50000 values"),
        (merges, "more than 50000 values"),
        (lambda: "x" * 1_048_577, "larger than 1048576 bytes"),
        (defaults, f"more than {MAX_FLOW_NODES} names, values and tags in all"),
        (lambda: fold("{{ band }}" * MAX_TEMPLATE_NODES), f"the limit is {MAX_TEMPLATE_NODES}"),
        (lambda: fold("{% for a in [1] %}" * 25 + "{% endfor %}" * 25), "nested too deep"),
        (lambda: fold("{% if 1 %}" * 3000 + "{% endif %}" * 3000), "nested too deep"),
        (lambda: fold("{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}"), "nested too deep"),
        (lambda: fold("{{ 1" + "|string" * 5000 + " }}"), "nested too deep"),
        (lambda: guard("[" * 900 + "]" * 900 + " == []"), "recursion limit"),
        (lambda: guard("true || " * 600 + "true"), "longer than 4000 characters"),
        (lambda: guard("'" + "x" * 5000 + "' == ''"), "longer than 4000 characters"),
        (
            lambda: json.dumps({"steps": [{"id": "a", "flow": {"flow": "../../etc/passwd"}}]}),
            "must be the name of a flow",
        ),
        (lambda: json.dumps({"steps": [{"id": "a", "flow": {"flow": "parts/../x"}}]}), "must be the name of a flow"),
        (lambda: json.dumps({"input_schema": {"$ref": "file:///etc/passwd"}, "steps": []}), "leads nowhere"),
    ],
)
def test_what_is_too_much_is_refused(make: Callable[[], str], told: str) -> None:
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problems = judge_text(make().encode(), "x.yaml", LIBRARY).problems

    assert any(told in problem.text for problem in problems), problems[:3]
    assert time.process_time() - began < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEBIBYTES * 1024


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 10**10 }}",
        "{{ ('x' * 10**6)[:3] * 10**9 }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 9**9**9 }}",
        "{{ [1] * 10**9 }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}",
    ],
)
def test_what_a_template_would_compute_is_not_computed_while_it_is_judged(template: str) -> None:
    """The limits of a worker are for a run that renders it."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert judge_text(fold(template).encode(), "x.yaml", LIBRARY).problems == ()
    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEBIBYTES * 1024
