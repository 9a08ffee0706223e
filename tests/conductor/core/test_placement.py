"""Where a step may be placed, and what it says that it waits for."""

import json

import pytest

from conductor.core.model.commands import StartExecution
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.inputs import Reach
from conductor.core.model.step_path import PATH_IDS
from tests.conductor.core.bench import OTHER, RUN, Bench, asks


def test_a_step_runs_where_the_labels_are_that_it_asks_for_and_says_so() -> None:
    """Keeps C9."""
    bench = Bench()
    bench.host("big", 8)
    bench.host("gpu", 1, labels={"gpu": "yes", "zone": "a"})
    bench.launch(*(asks(step, agent={"labels": (("gpu", "yes"),)}) for step in ("s0", "s1")), asks("s2"))
    bench.launch(asks("s0", agent={"labels": (("gpu", "no"), ("zone", "a"))}), run=OTHER)
    bench.queue("s0", "s1", "s2")
    bench.queue("s0", run=OTHER)

    assert [bench.attempt(step).host for step in ("s0", "s2")] == ["gpu", "big"]
    assert bench.attempt("s0").placement_reason.endswith("slots were free. It has gpu=yes.")
    assert [wait(bench, "s1")[0], wait(bench, "s0", OTHER)] == [
        "slot",
        ("host", "No connected host that offers survey has the labels gpu=no, zone=a: big, gpu."),
    ]


CLOUD, LOCAL, NONE = Reach.ANYWHERE, Reach.NEAR, Reach.NOTHING


@pytest.mark.parametrize(
    ("agents", "chosen"),
    [
        (("cloud", "local", "survey"), "local"),  # the first cannot run now
        (("local", "cloud2", "survey"), "local"),
        (("broken", "cloud2", "local"), ""),  # it would reach nothing
        (("broken", "local", "survey"), "survey"),
        (("gone", "cloud2"), "cloud2"),  # nothing is known of what the flow prefers
    ],
)
def test_another_agent_is_taken_only_where_it_reaches_no_more_than_the_first(
    agents: tuple[str, ...], chosen: str
) -> None:
    """Keeps C9 and E2."""
    bench = Bench()
    reach = {"cloud": CLOUD, "cloud2": CLOUD, "local": LOCAL}
    broken = {"cloud": "no key", "broken": "not installed"}
    bench.host("h1", 8, "cloud2", "local", "survey", unusable=broken, reach=reach)
    bench.launch(asks("s0", agents=agents))
    bench.queue("s0")

    attempts = bench.step("s0").attempts
    assert [attempt.agent for attempt in attempts] == ([chosen] if chosen else [])
    if not chosen:
        assert wait(bench, "s0") == (
            "agent",
            (
                "broken cannot be had, and what is offered in its place would reach more of the network: cloud2, local."
                " h1 has broken, but: not installed."
            ),
        )
    elif chosen != agents[0]:
        assert "had no place, which the flow prefers." in attempts[0].placement_reason


def test_a_host_that_went_away_still_bounds_what_is_taken_in_its_place() -> None:
    """Keeps E2."""
    bench = Bench()
    bench.host("h1", 8, "survey")
    bench.host("h2", 8, "cloud", reach={"cloud": CLOUD})
    bench.host("h1", 8, connected=False)
    bench.launch(asks("s0", agents=("survey", "cloud")))
    bench.queue("s0")

    assert bench.step("s0").attempts == ()


def wait(bench: Bench, step: str, run: str = RUN) -> tuple[str, str]:
    told = bench.step(step, run).wait
    assert told is not None
    return str(told.kind), told.text


def test_agents_are_taken_in_the_order_of_the_step() -> None:
    bench = Bench()
    bench.host("h1", 1, "codex")
    bench.host("h2", 1, "claude")
    bench.launch(asks("one", agents=("claude", "codex")), asks("two", agents=("claude", "codex")))

    bench.queue("one", "two")

    assert (bench.attempt("one").agent, bench.attempt("one").host) == ("claude", "h2")
    assert (bench.attempt("two").agent, bench.attempt("two").host) == ("codex", "h1")


def test_a_step_says_what_it_waits_for_and_again_only_when_that_changes() -> None:
    bench = Bench()
    bench.launch(asks("one"), asks("two"))

    bench.queue("one", "two")
    no_host = "No host is connected. None has connected since the conductor started; add one:"
    no_host += "  conductor hosts add NAME ADDRESS"
    assert bench.stored(StepWaits) == [StepWaits("two", "host", no_host)]
    bench.host("h1", 1, "claude")
    unknown = "No connected host offers survey. Every host is connected; they offer claude."
    assert bench.stored(StepWaits) == [
        StepWaits("one", "agent", unknown),
        StepWaits("two", "agent", unknown),
    ]
    bench.host("h2", 1)
    assert bench.sent(StartExecution) == ["one"]
    assert bench.stored(StepWaits) == [StepWaits("two", "slot", "Every slot of host h2 that can run survey is taken.")]
    bench.host("h2", 1)
    assert bench.last.to_store == ()
    assert bench.step("one").wait is None


def test_a_step_whose_agent_is_broken_says_why_as_its_host_does() -> None:
    """C6: a broken spec does not look like missing capacity."""
    bench = Bench()
    bench.host("a", 1, "survey")
    bench.host("b", 1, "survey", unusable={"broken": "description is required."})
    bench.launch(asks("one", agents=("broken",)))

    bench.queue("one")

    because = "No connected host offers broken. b has broken, but: description is required."
    assert bench.stored(StepWaits) == [StepWaits("one", "agent", because)]
    bench.host("b", 1, "survey", "broken")
    assert bench.sent(StartExecution) == ["one"]


def test_a_step_that_waits_while_a_host_is_away_names_the_host_and_blames_no_name() -> None:
    """C6: the absent host may be the one that has the agent."""
    bench = Bench()
    bench.host("a", 1, "survey")
    bench.host("b", 1, "rare")
    bench.host("b", connected=False)
    bench.launch(asks("one", agents=("rare",)))

    bench.queue("one")
    assert bench.stored(StepWaits) == [StepWaits("one", "agent", "No connected host offers rare. Disconnected: b.")]
    bench.host("a", connected=False)

    assert bench.stored(StepWaits) == [StepWaits("one", "host", "No host is connected. Disconnected: a, b.")]


def test_a_step_inside_another_one_is_placed_only_on_a_host_that_takes_its_id() -> None:
    """growth.md 2: an older host refuses an id with a dot, so it is not asked."""
    bench = Bench()
    bench.host("old", 8)
    bench.launch(asks("plain"), asks("outer.0.inner"))

    bench.queue("plain", "outer.0.inner")
    assert bench.attempt("plain").host == "old"
    because = "Every connected host that offers survey is too old for a step inside another step: old. Update agenthost there."
    assert bench.stored(StepWaits) == [StepWaits("outer.0.inner", "host", because)]

    bench.host("new", 1, features=frozenset({PATH_IDS}))
    assert bench.attempt("outer.0.inner").host == "new"


def test_a_host_that_never_came_is_named_as_such_until_it_comes() -> None:
    bench = Bench()
    bench.host("a", 1, "survey")
    bench.host("b", connected=False)
    bench.host("c", connected=False)
    bench.launch(asks("one", agents=("rare",)))

    bench.queue("one")
    lack = "No connected host offers rare."
    never = "Not reached since the conductor started"
    assert bench.stored(StepWaits) == [StepWaits("one", "agent", f"{lack} {never}: b, c.")]
    bench.host("b", 1, "survey")
    assert bench.stored(StepWaits) == [StepWaits("one", "agent", f"{lack} {never}: c.")]
    bench.host("b", connected=False)
    assert bench.stored(StepWaits) == [StepWaits("one", "agent", f"{lack} Disconnected: b. {never}: c.")]
    bench.host("c", 1, "rare")
    assert bench.sent(StartExecution) == ["one"]


def test_what_a_step_waits_for_fits_into_its_event_whatever_hosts_tell() -> None:
    """Rule 15: events stay below 4 KiB."""
    bench = Bench()
    for number in range(40):
        bench.host(f"h{number}", 1, *(f"agent{number}-{other}" for other in range(40)), unusable={"odd": "\0" * 90_000})
    bench.launch(asks("one", agents=("odd",)), asks("two", agents=("none",)))

    bench.queue("one", "two")

    waits = {name: wait.text for name in ("one", "two") if (wait := bench.step(name).wait)}
    assert all(len(json.dumps(text)) < 1000 for text in waits.values())
    assert "h0 has odd, but:" in waits["one"]
    assert waits["two"].endswith("1588 more.")
