"""Spellings of flow files beside proto-JSON, and numbers that mean one thing only. Keeps A4."""

import pytest

from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text
from conductor.v1.flow_service_pb2 import BAND_LARGE, AgentWork, Flow

CLOCKS = ("timeout", "idle_timeout", "first_output_timeout", "queue_timeout", "orphan_timeout", "lost_after")


def problems_of(text: str) -> list[tuple[int, str, str]]:
    found = judge_text(text.encode(), "x.yaml", Library()).problems
    return [(problem.line, problem.field, problem.text) for problem in found]


def flow_in(text: str) -> Flow:
    judgement = judge_text(text.encode(), "x.yaml", Library())
    assert judgement.flow is not None, judgement.problems
    return judgement.flow


def asking(agent: str, head: str = "") -> str:
    return f"{head}steps:\n  - id: a\n    agent:\n      agents: [a]\n      prompt: x\n      {agent}\n"


def with_schema(value: str) -> str:
    return f"input_schema:\n  properties:\n    a:\n      default: {value}\n" + asking("max_attempts: 1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2m", 120),
        ("90s", 90),
        ("1h", 3600),
        ("30m15s", 1815),
        ("1.5m", 90),
        ("1500ms", 1.5),
        ("1m0.5s", 60.5),
        ("0.5s", 0.5),
    ],
)
def test_every_clock_takes_a_duration_with_units(text: str, seconds: float) -> None:
    for name in CLOCKS:
        # Two at once may be allowed, so that no clock depends on another.
        work = flow_in(asking(f"{name}: {text}\n      may_overlap: true")).steps[0].agent
        assert getattr(work, name).ToTimedelta().total_seconds() == seconds
    pauses = flow_in(asking(f"retries: {{first_pause: {text}, longest_pause: {text}}}")).steps[0].agent.retries
    assert pauses.first_pause.ToTimedelta() == pauses.longest_pause.ToTimedelta()
    assert flow_in(asking("", f"timeout: {text}\n")).timeout.ToTimedelta().total_seconds() == seconds


@pytest.mark.parametrize("text", ["2", "2 m", "m", "30m1h", "PT2M", "2min", "999999999999h", "2m2m"])
def test_what_is_no_duration_is_told_with_how_to_write_one(text: str) -> None:
    ((line, field, said),) = problems_of(asking(f"timeout: {text}"))

    assert (line, field) == (6, "steps[0].agent.timeout")
    assert '"2m"' in said


def test_a_value_of_an_enumeration_may_be_short() -> None:
    flow = flow_in("bands: [large]\n" + asking("on_lost: fail\n    on_failure: continue"))

    assert list(flow.bands) == [BAND_LARGE]
    assert flow.steps[0].on_failure == Flow.ON_FAILURE_CONTINUE
    assert flow.steps[0].agent.on_lost == AgentWork.ON_LOST_FAIL
    ((_, _, said),) = problems_of(asking("on_lost: maybe"))
    assert "(short: retry, fail), not 'maybe'" in said


ODD = [
    "-1e400",
    ".inf",
    "-.INF",
    ".nan",
    "NaN",
    "Infinity",
    "0x1F",
    "017",
    "0o17",
    "0b11",
    "1_000",
    "190:20:30",
    "12:30",
    "+1",
    ".5",
    "5.",
    "True",
    "NULL",
    "1e999",
]


@pytest.mark.parametrize("number", [*ODD, "1" + 400 * "0"])
def test_a_word_that_other_readers_take_for_a_number_is_refused_where_it_could_be_one(number: str) -> None:
    assert [(line, field) for line, field, _ in problems_of(with_schema(number))] == [
        (4, "input_schema.properties.a.default")
    ]
    assert problems_of(with_schema(f"'{number}'")) == []
    assert [line for line, _, _ in problems_of(asking(f"max_attempts: {number}"))] == [6]


@pytest.mark.parametrize("number", ["9007199254740992", "-9007199254740993", "18446744073709551616"])
def test_a_whole_number_that_a_schema_cannot_hold_exactly_is_refused(number: str) -> None:
    ((line, field, said),) = problems_of(with_schema(number))

    assert (line, field) == (4, "input_schema.properties.a.default")
    assert number in said
    assert "9007199254740991" in said


@pytest.mark.parametrize("number", ["9007199254740991", "-0", "1e300", "0.1", "yes", "2026-01-01", "1.2.3", "a:b"])
def test_other_numbers_and_words_stay_as_they_are(number: str) -> None:
    assert problems_of(with_schema(number)) == []


@pytest.mark.parametrize("value", ['"{{ inputs.lens }}"', "'{% if band %}risks'", '"a\\0b"'])
def test_a_parameter_that_no_agent_could_use_is_refused(value: str) -> None:
    assert [field for _, field, _ in problems_of(asking(f"parameters: {{lens: {value}}}"))] == [
        "steps[0].agent.parameters.lens"
    ]
