"""Which agents no host knows, once every host has spoken."""

import pytest

from conductor.core.model.conductor_state import Host
from conductor.core.model.plan import AgentPlan, ForeachPlan, StepPlan
from conductor.core.placing.unknown_agents import (
    find_unknown_agents,
    list_known_agents,
    list_usable_agents,
    seat_panels,
)

HERE = Host("here", connected=True, agents=frozenset({"survey"}), unusable={"reader": "no model"})
DRAINING = Host("there", connected=True, draining=True, agents=frozenset({"codex"}))
AWAY = Host("there", connected=False, was_reached=False)


@pytest.mark.parametrize(
    ("hosts", "configured", "known"),
    [
        ({"here": HERE}, ["here"], ["reader", "survey"]),
        ({"here": HERE, "there": DRAINING}, ["here", "there"], ["codex", "reader", "survey"]),
        ({"here": HERE, "there": AWAY}, ["here", "there"], None),
        ({"here": HERE}, ["here", "there"], None),
        ({"here": HERE}, [], None),
    ],
)
def test_agents_are_known_once_every_configured_host_is_connected(
    hosts: dict[str, Host], configured: list[str], known: list[str] | None
) -> None:
    assert list_known_agents(hosts, configured) == known


def asking(*agents: str, excluded: str = "") -> StepPlan:
    return StepPlan("a", AgentPlan(agents), excluded_because=excluded)


def test_a_step_is_unknown_that_will_run_and_can_have_none_of_its_agents() -> None:
    steps = [asking("survey"), asking("nobody", "reader"), asking("suvrey", "x"), asking("nobody", excluded="small")]

    assert list(find_unknown_agents(steps, ["reader", "survey"])) == [("a", ("suvrey", "x"))]


def test_an_agent_is_usable_that_one_host_can_run() -> None:
    other = Host("other", connected=True, agents=frozenset({"reader"}), unusable={"claude": "install it"})

    assert list_usable_agents({"here": HERE}, ["here"]) == ["survey"]
    assert list_usable_agents({"here": HERE, "other": other}, ["here", "other"]) == ["reader", "survey"]


@pytest.mark.parametrize(
    ("usable", "asked", "absent"),
    [
        (["codex", "qwen", "reader"], ("qwen", "codex"), ()),
        (["qwen"], ("qwen",), ("codex",)),
        (["reader"], ("qwen", "codex"), ()),
    ],
)
def test_a_panel_asks_the_agents_that_a_host_can_run_and_all_where_it_can_run_none(
    usable: list[str], asked: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    (seated,) = seat_panels([StepPlan("panel", ForeachPlan((), 2, agents=("qwen", "codex")))], usable)

    assert isinstance(seated.work, ForeachPlan)
    assert (seated.work.agents, seated.work.absent) == (asked, absent)


@pytest.mark.parametrize(
    ("usable", "is_complete", "asked", "absent", "because"),
    [
        (["ruff", "survey"], True, ("ruff",), ("typos",), ""),
        (["survey"], True, ("ruff", "typos"), ("ruff", "typos"), "no host can run ruff, typos"),
        (["ruff"], False, ("ruff",), ("typos",), ""),
    ],
)
def test_a_panel_that_needs_no_agent_goes_without_those_that_no_host_can_run(
    usable: list[str], asked: tuple[str, ...], absent: tuple[str, ...], because: str, *, is_complete: bool
) -> None:
    """Keeps A5: analyzers that are missing are told, and are not fatal."""
    panel = StepPlan("panel", ForeachPlan((), 2, min_success=0, agents=("ruff", "typos")))

    (seated,) = seat_panels([panel], usable, is_complete=is_complete)

    assert isinstance(seated.work, ForeachPlan)
    assert (seated.work.agents, seated.work.absent, seated.excluded_because) == (asked, absent, because)


def test_while_a_host_is_away_a_panel_that_needs_agents_waits_for_it() -> None:
    panel = StepPlan("panel", ForeachPlan((), 2, agents=("qwen", "codex")))

    assert seat_panels([panel], ["qwen"], is_complete=False) == (panel,)
