"""Every wait of a queued step, with its sentence: it names the slot, host, pool or need that the step waits for. Keeps C9."""

from collections.abc import Callable

import pytest

from conductor.core.model.inputs import HostPool, Reach
from conductor.core.model.registry import RequestAddHost, RequestDrainHost
from conductor.core.model.states import WaitKind
from conductor.core.model.step_path import PATH_IDS
from conductor.core.placing.quiet import FEATURE
from conductor.core.placing.standing import present_of
from tests.conductor.core.bench import OTHER, RUN, Bench, asks

GPU = HostPool("gpu0", 1, is_local=True)
READS = {"reader": (GPU, "qwen")}


def gone(bench: Bench) -> None:
    bench.host("a", 2)
    bench.host("a", connected=False)


def never(bench: Bench) -> None:
    bench.host("a", connected=False)


def draining(bench: Bench) -> None:
    bench.host("a", 2, draining=True)


def drained(bench: Bench) -> None:
    bench.take(RequestAddHost("a", "unix:/a"))
    bench.host("a", 2)
    bench.take(RequestDrainHost("a", "ann"))


def other_drained(bench: Bench) -> None:
    bench.host("a", 2, "other")
    bench.take(RequestAddHost("b", "unix:/b"))
    bench.host("b", 2)
    bench.take(RequestDrainHost("b", "ann"))


def labels_drained(bench: Bench) -> None:
    bench.host("a", 2)
    bench.host("b", 2, labels={"gpu": "yes"}, draining=True)


def full(bench: Bench) -> None:
    bench.host("a", 1)
    bench.launch(asks("first"), run=OTHER)
    bench.queue("first", run=OTHER)


def two_full(bench: Bench) -> None:
    full(bench)
    bench.host("b", 1)
    bench.launch(asks("second"), run="01k" + "c" * 23)
    bench.queue("second", run="01k" + "c" * 23)


def broken(bench: Bench) -> None:
    bench.host("a", 2, "other", unusable={"survey": "it is not installed."})


def reaching(bench: Bench) -> None:
    reach = {"near": Reach.NEAR, "cloud": Reach.ANYWHERE}
    bench.host("a", 2, "cloud", unusable={"near": "it has no model."}, reach=reach)


def slot(bench: Bench) -> None:
    bench.host("a", 8, "reader", models=READS)
    bench.launch(asks("first", agents=("reader",)), run=OTHER)
    bench.queue("first", run=OTHER)


def parked(bench: Bench) -> None:
    slot(bench)
    bench.finish("first", "failed", "RATE_LIMITED", run=OTHER, retry_after=90.0)


def quiet(bench: Bench) -> None:
    bench.host("a", 8, "reader", models=READS, features=frozenset({FEATURE}), quiet=(("gpu0", 20.0),))


WAITS: tuple[tuple[Callable[[Bench], object], dict[str, object], WaitKind, str], ...] = (
    (
        lambda _: None,
        {},
        WaitKind.HOST,
        "No host is connected. None has connected since the conductor started; add one:  conductor hosts add NAME ADDRESS",
    ),
    (gone, {}, WaitKind.HOST, "No host is connected. Disconnected: a."),
    (never, {}, WaitKind.HOST, "No host is connected. Not reached since the conductor started: a."),
    (draining, {}, WaitKind.HOST, "Every connected host is draining."),
    (drained, {}, WaitKind.HOST, "Every connected host is draining; take it back:  conductor hosts undrain a."),
    (
        other_drained,
        {},
        WaitKind.AGENT,
        "No connected host offers survey. b does, and is draining; take it back:  conductor hosts undrain b.",
    ),
    (
        labels_drained,
        {"agent": {"labels": (("gpu", "yes"),)}},
        WaitKind.HOST,
        "No connected host that offers survey has the labels gpu=yes: a. b does, and is draining.",
    ),
    (
        lambda bench: bench.host("a", 2),
        {"agent": {"labels": (("gpu", "yes"),)}},
        WaitKind.HOST,
        "No connected host that offers survey has the labels gpu=yes: a.",
    ),
    (
        lambda bench: bench.host("a", 2, "other"),
        {},
        WaitKind.AGENT,
        "No connected host offers survey. Every host is connected; they offer other.",
    ),
    (broken, {}, WaitKind.AGENT, "No connected host offers survey. a has survey, but: it is not installed."),
    (
        reaching,
        {"agents": ("near", "cloud")},
        WaitKind.AGENT,
        (
            "near cannot be had, and what is offered in its place would reach more of the network: cloud. "
            "a has near, but: it has no model."
        ),
    ),
    (full, {}, WaitKind.SLOT, "Every slot of host a that can run survey is taken."),
    (two_full, {}, WaitKind.SLOT, "Every slot of the 2 hosts that can run survey is taken."),
    (
        slot,
        {"agents": ("reader",)},
        WaitKind.POOL,
        f"Waits for a slot of gpu0 (1 of 1 in use by first of …{OTHER[-6:]}).",
    ),
    (parked, {"agents": ("reader",)}, WaitKind.PARKED, "gpu0 is parked until 00:18:10 UTC (rate limited)."),
    (quiet, {"agents": ("reader",)}, WaitKind.POOL, "gpu0 asked for a pause until 00:17:00 UTC (rate limited)."),
)


@pytest.mark.parametrize(("scene", "step", "kind", "text"), WAITS, ids=[text for *_, text in WAITS])
def test_a_queued_step_says_what_it_waits_for(
    scene: Callable[[Bench], object], step: dict[str, object], kind: WaitKind, text: str
) -> None:
    bench = Bench()
    scene(bench)
    bench.launch(asks("one", **step))  # type: ignore[arg-type]
    bench.queue("one")

    wait = bench.step("one").wait
    assert wait is not None
    assert (wait.kind, wait.text) == (kind, text)
    assert present_of(bench.state, RUN, bench.now).waits == {}, "what is stored is what holds now"


def test_a_limit_a_pause_and_an_old_host_are_named_as_well() -> None:
    bench = Bench()
    bench.host("old", 8)
    bench.launch(asks("one"), asks("two"), asks("outer.0.inner"), parallel=1)
    bench.queue("outer.0.inner")
    assert told(bench, "outer.0.inner").startswith("Every connected host that offers survey is too old for")
    bench.queue("one", "two")
    assert told(bench, "two") == "This run has 1 agent at work, the most that max_parallel of its flow allows."
    bench.host("new", 1, features=frozenset({PATH_IDS}))
    bench.finish("one", "failed", "SANDBOX_LOST")

    kinds = {step.wait.kind for step in bench.run.steps.values() if step.wait is not None}
    assert kinds <= set(WaitKind)


def told(bench: Bench, step: str) -> str:
    wait = bench.step(step).wait
    assert wait is not None
    return wait.text
