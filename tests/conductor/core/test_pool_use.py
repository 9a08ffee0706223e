"""How pools stand now, and what steps wait for now: derived for readers, stored nowhere. Keeps C9 and C12."""

from conductor.core.model.inputs import HostPool
from conductor.core.placing.standing import PoolUse, Present, list_uses, present_of
from tests.conductor.core.bench import OTHER, RUN, Bench, asks

GPU = HostPool("gpu0", 1, is_local=True)


def bench() -> Bench:
    made = Bench()
    for name in ("h1", "h2"):
        made.host(name, 8, "reader", models={"reader": (GPU, "qwen")})
    return made


def test_a_step_says_who_holds_the_slot_now() -> None:
    it = bench()
    it.launch(*(asks(step, agents=("reader",)) for step in ("one", "two", "three")))
    it.queue("one", "two", "three")
    assert present_of(it.state, RUN, it.now) == Present()  # as it was stored

    it.finish("one")
    waits = present_of(it.state, RUN, it.now).waits

    assert {name: wait.text for name, wait in waits.items()} == {
        "three": "Waits for a slot of gpu0 (1 of 1 in use by two)."
    }
    assert present_of(it.state, OTHER, it.now) == Present()


def test_a_pools_use_counts_all_runs_and_names_what_parks_it() -> None:
    it = bench()
    it.launch(asks("one", agents=("reader",)), asks("two", agents=("reader",)))
    it.launch(asks("one", agents=("reader",)), run=OTHER)
    it.queue("one", "two")
    it.queue("one", run=OTHER)
    assert list_uses(it.state, it.now) == (PoolUse("gpu0", 1, (f"{RUN}-one-1",), 2, 0.0, "qwen"),)

    it.finish("one", "failed", "RATE_LIMITED", retry_after=90.0)

    (use,) = list_uses(it.state, it.now)
    assert (use.holders, use.waiting, use.parked_until) == ((), 3, it.now + 90.0)
