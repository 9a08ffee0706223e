"""Clocks and retries of authors: judged by line, and filled in from the configuration. Keeps C5 C6 I4."""

import pytest

from conductor.config import Clocks
from conductor.core.model.plan import AgentPlan, OnLost, RetryPlan
from conductor.flows.checks.clock_rules import judge_clocks
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text
from conductor.flows.language.problems import Problems
from conductor.flows.plans import plan_steps, run_timeout
from conductor.v1.flow_service_pb2 import Flow

LIBRARY = Library()


def text_of(agent: str = "", head: str = "") -> bytes:
    lines = "".join(f"      {line}\n" for line in agent.splitlines())
    return f"{head}steps:\n  - id: a\n    agent:\n      agents: [a]\n      prompt: x\n{lines}".encode()


def flow_of(agent: str = "", head: str = "") -> Flow:
    judgement = judge_text(text_of(agent, head), "flow.yaml", LIBRARY)
    assert judgement.flow is not None, judgement.problems
    return judgement.flow


def planned(agent: str = "", clocks: Clocks | None = None) -> AgentPlan:
    plan = plan_steps(flow_of(agent), {}, clocks or Clocks())[0].agent
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    ("agent", "line", "field", "said"),
    [
        ("queue_timeout: 0s", 6, "queue_timeout", "more than 0"),
        ("first_output_timeout: 100000s", 6, "first_output_timeout", "at most 24h, not 100000 s"),
        ("idle_timeout: -1s", 6, "idle_timeout", "more than 0"),
        ("orphan_timeout: 3601s", 6, "orphan_timeout", "at most 1h"),
        ("orphan_timeout: 60s\nlost_after: 30s", 7, "lost_after", "lives 60 s without its conductor (orphan_timeout)"),
        ("orphan_timeout: 60s\nlost_after: 71.9s", 7, "lost_after", "give at least 72 s, or allow two at once"),
        ("lost_after: 12s", 6, "lost_after", "give more than 12 s"),
        ("on_lost: RETRY", 6, "on_lost", "ON_LOST_RETRY, ON_LOST_FAIL"),
        ("retries:\n  hang: 11", 7, "retries.hang", "must be 0 to 10, not 11"),
        ("retries:\n  schema: -1", 7, "retries.schema", "must be 0 to 10"),
        ("retries:\n  agent: 1.5", 7, "retries.agent", "whole number"),
        ("retries:\n  first_pause: 0s", 7, "retries.first_pause", "more than 0"),
        ("retries:\n  hangs: 1", 7, "retries.hangs", "infrastructure, rate_limit, hang, schema, agent"),
    ],
)
def test_a_clock_that_cannot_be_is_a_problem_with_its_line(agent: str, line: int, field: str, said: str) -> None:
    (problem,) = judge_text(text_of(agent), "flow.yaml", LIBRARY).problems

    assert (problem.line, problem.field) == (line, f"steps[0].agent.{field}")
    assert said in problem.text


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(5, -1), (5, 1_000_000_000), (5, -2_000_000_000), (-5, 1), (0, 1_500_000_000)]
)
def test_a_duration_that_has_no_form_in_a_file_is_a_problem(seconds: int, nanos: int) -> None:
    """C6: only a flow that comes inline can hold one, and it could not be kept with its run."""
    flow = flow_of()
    flow.steps[0].agent.timeout.seconds, flow.steps[0].agent.timeout.nanos = seconds, nanos
    problems = Problems("inline")

    judge_clocks(flow.steps[0].agent, "agent", problems)

    assert ["is not a duration" in problem.text for problem in problems.found] == [True]


def test_the_clock_of_a_run_is_judged_and_has_a_default() -> None:
    (problem,) = judge_text(text_of(head="timeout: 2592001s\n"), "flow.yaml", LIBRARY).problems

    assert (problem.line, problem.field, problem.text) == (
        1,
        "timeout",
        "must be more than 0 and at most 30d, not 2592001 s",
    )
    assert run_timeout(flow_of(head="timeout: 90.5s\n"), Clocks()) == 90.5
    assert run_timeout(flow_of(), Clocks(run_timeout_seconds=7.0)) == 7.0


def test_what_a_flow_leaves_out_the_configuration_says() -> None:
    clocks = Clocks(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 20.0)

    assert planned(clocks=clocks) == AgentPlan(
        ("a",),
        timeout_seconds=4.0,
        idle_timeout_seconds=3.0,
        max_attempts=10,
        first_output_timeout_seconds=2.0,
        queue_timeout_seconds=1.0,
        orphan_timeout_seconds=6.0,
        lost_after_seconds=20.0,
        retries=RetryPlan(infrastructure=2),
        repairs=True,
    )


def test_what_a_flow_says_counts() -> None:
    plan = planned(
        "timeout: 5s\nidle_timeout: 4s\nfirst_output_timeout: 3s\nqueue_timeout: 2s\norphan_timeout: 30s\nlost_after: 42s\n"
        "on_lost: ON_LOST_FAIL\nretries: {infrastructure: 0, rate_limit: 1, hang: 2, schema: 3, agent: 4, first_pause: 6s,"
        " longest_pause: 7s}"
    )

    assert plan == AgentPlan(
        ("a",),
        (),
        5.0,
        4.0,
        10,
        3.0,
        2.0,
        30.0,
        42.0,
        OnLost.FAIL,
        RetryPlan(0, 1, 2, 3, 4, 6.0, 7.0),
        repairs=True,
    )


@pytest.mark.parametrize(
    ("said", "orphan", "lost_after"),
    [
        ("", 600.0, 720.0),
        ("lost_after: 60s", 48.0, 60.0),
        ("orphan_timeout: 3000s", 3000.0, 3012.0),
        ("lost_after: 2000s", 600.0, 2000.0),
        ("lost_after: 5s\nmay_overlap: true", 600.0, 5.0),
    ],
)
def test_an_agent_has_ended_before_it_counts_as_lost_unless_its_step_allows_two(
    said: str, orphan: float, lost_after: float
) -> None:
    plan = planned(said)

    assert (plan.orphan_timeout_seconds, plan.lost_after_seconds) == (orphan, lost_after)


@pytest.mark.parametrize(("said", "attempts", "infrastructure"), [("", 10, 2), ("max_attempts: 5", 5, 4)])
def test_attempts_in_all_bound_every_kind_of_retry(said: str, attempts: int, infrastructure: int) -> None:
    plan = planned(said)

    assert (plan.max_attempts, plan.retries.infrastructure) == (attempts, infrastructure)
