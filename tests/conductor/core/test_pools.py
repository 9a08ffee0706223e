"""The slots of models' endpoints, which hold over hosts, runs and steps. Keeps C10 and C12, a rule a sentence."""

from collections import Counter

import pytest

from conductor.core.decide.schedule import LOADING_SECONDS
from conductor.core.model.commands import StartExecution
from conductor.core.model.conductor_state import Pool
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import StepFailed, StepWaits
from conductor.core.model.inputs import (
    AgentStarted,
    AgentTurnEnded,
    HostAgent,
    HostPool,
    HostReported,
    WorkFinished,
)
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import Cause, Failure, WaitKind
from conductor.core.model.work import Answer, Checked, OutputInvalid, Work, WorkKind, WorkResult
from conductor.core.placing import memory
from conductor.core.placing.slots import list_holders
from tests.conductor.core.bench import OTHER, RUN, Bench, asks

GPU = HostPool("gpu0", 1, is_local=True)
WRONG = Failure("OUTPUT_INVALID", "severity must be one of high, low", cause=Cause.SCHEMA)
STEPS = [f"s{number}" for number in range(10)]


def thinks(step: str, model: str = "", *, agents: tuple[str, ...] = ("reader",), **agent: object) -> StepPlan:
    return asks(step, agents=agents, agent={"parameters": (("model", model),) if model else (), **agent})


def bench_with(pool: HostPool = GPU, *hosts: str) -> Bench:
    bench = Bench()
    for name in hosts or ("h1", "h2"):
        bench.host(name, 8, "reader", models={"reader": (pool, "qwen")})
    return bench


def live(bench: Bench) -> Counter[str]:
    """Counts the live attempts by pool, from what is stored."""
    steps = [step for run in bench.runs.values() for step in run.steps.values()]
    return Counter(step.live_attempt.pool for step in steps if step.live_attempt)


def test_a_pool_has_its_slots_over_all_hosts_and_runs() -> None:
    bench = bench_with()
    bench.launch(*(thinks(step) for step in STEPS[:3]))
    bench.launch(*(thinks(step) for step in STEPS[:3]), run=OTHER)

    bench.queue(*STEPS[:3])
    bench.queue(*STEPS[:3], run=OTHER)
    for _ in range(6):
        assert live(bench) == {"gpu0": 1}
        (attempt,) = list_holders(pair for one in bench.state.ongoing.values() for pair in one.tracks.items())["gpu0"]
        run, step, _ = attempt.split("-")
        bench.finish(step, run=run)

    assert live(bench) == {}
    assert all(step.attempts for run in bench.runs.values() for step in run.steps.values())


def test_the_smallest_number_of_slots_that_a_host_tells_holds() -> None:
    bench = Bench()
    bench.host("h1", 8, "reader", models={"reader": (HostPool("gpu0", 4), "qwen")})
    bench.host("h2", 8, "reader", models={"reader": (HostPool("gpu0", 2), "qwen")})
    bench.launch(*(thinks(step) for step in STEPS))

    bench.queue(*STEPS)

    assert live(bench) == {"gpu0": 2}


def test_other_pools_and_agents_without_a_model_go_on() -> None:
    bench = Bench()
    models = {"reader": (GPU, "qwen"), "claude": (HostPool("hosted", 8), "opus")}
    bench.host("h1", 8, "reader", "claude", "survey", models=models)
    bench.launch(
        thinks("one"), thinks("two"), thinks("three", agents=("claude",)), asks("four"),
        thinks("either", agents=("reader", "claude")),
    )  # fmt: skip

    bench.queue("one", "two", "three", "four", "either")

    assert live(bench) == {"gpu0": 1, "hosted": 2, "": 1}
    assert bench.attempt("either").agent == "claude"
    assert bench.states()["two"] == "queued"


def test_why_a_step_waits_names_pool_use_and_holder_and_is_stored_once() -> None:
    bench = bench_with()
    bench.launch(thinks("one"), thinks("two"), thinks("three"))

    bench.queue("one", "two", "three")
    text = "Waits for a slot of gpu0 (1 of 1 in use by one)."
    assert bench.step("two").wait is not None
    assert bench.stored(StepWaits) == [StepWaits("three", WaitKind.POOL, text, "gpu0")]
    bench.finish("one")

    assert bench.sent(StartExecution) == ["two"]
    assert bench.stored(StepWaits) == []  # another holder is no news: it would be one for each step and attempt


def test_a_holder_of_another_run_is_named_with_its_run() -> None:
    bench = bench_with()
    bench.launch(thinks("one"))
    bench.queue("one")
    bench.launch(thinks("one"), run=OTHER)

    bench.queue("one", run=OTHER)

    wait = bench.step("one", OTHER).wait
    assert wait is not None
    assert wait.text == f"Waits for a slot of gpu0 (1 of 1 in use by one of …{RUN[-6:]})."


def test_a_host_that_reports_no_pools_works_as_before() -> None:
    """A host of f9ac01c."""
    bench = Bench()
    bench.host("old", 3, "reader")
    bench.launch(*(thinks(step) for step in STEPS[:4]))

    bench.queue(*STEPS[:4])

    assert live(bench) == {"": 3}
    assert bench.step("s3").wait is not None
    assert bench.step("s3").wait.kind is WaitKind.SLOT  # type: ignore[union-attr]


def test_a_pool_without_slots_bounds_nothing() -> None:
    """A host that is wrong about itself stops no run."""
    bench = bench_with(HostPool("gpu0", 0))
    bench.launch(thinks("one"))

    bench.queue("one")

    assert live(bench) == {"": 1}


def test_a_slot_is_held_through_a_crash_and_through_a_silent_host() -> None:
    bench = bench_with()
    bench.launch(thinks("one"), thinks("two"))
    bench.queue("one", "two")

    bench.crash()
    for name in ("h1", "h2"):
        bench.host(name, 8, "reader", models={"reader": (GPU, "qwen")})
    assert bench.states() == {"one": "running", "two": "queued"}
    bench.host(bench.attempt("one").host, connected=False)
    assert bench.states()["two"] == "queued"
    bench.host(bench.attempt("one").host, 8, "reader", models={"reader": (GPU, "qwen")})
    bench.finish("one")

    assert bench.states()["two"] == "running"


def test_steps_of_the_loaded_model_go_first_for_ten_launches_and_then_another_model() -> None:
    bench = bench_with()
    names = [f"a{number}" for number in range(14)]
    bench.launch(thinks("a"), *(thinks(name) for name in names), thinks("b", "llama"), thinks("c", "llama"))
    bench.queue("a")
    bench.queue("b", "c", *names)  # the others of "a"'s model queue later

    order = []
    for _ in range(17):
        (step,) = [name for name, one in bench.run.steps.items() if one.live_attempt]
        order.append(step)
        bench.finish(step)

    assert order == ["a", *names[:9], "b", "c", *names[9:]]


def test_another_model_goes_first_after_five_minutes() -> None:
    bench = bench_with()
    bench.launch(thinks("a"), thinks("a1"), thinks("a2"), thinks("b", "llama"))
    bench.queue("a", "b", "a1", "a2")

    bench.finish("a")
    assert bench.sent(StartExecution) == ["a1"]
    bench.now += memory.MOST_SECONDS
    bench.finish("a1")

    assert bench.sent(StartExecution) == ["b"]


def test_a_slot_that_the_loaded_models_steps_leave_is_used_by_another() -> None:
    bench = bench_with(HostPool("gpu0", 3, is_local=True))
    bench.launch(thinks("b", "llama"), thinks("a"), thinks("b1", "llama"))
    bench.queue("a", "b", "b1")

    assert bench.states() == {"a": "running", "b": "running", "b1": "running"}


def test_models_of_a_hosted_pool_share_it_in_the_order_of_the_queue() -> None:
    bench = bench_with(HostPool("hosted", 1))
    bench.launch(thinks("a"), thinks("b", "llama"), thinks("a1"))
    bench.queue("a", "b", "a1")

    bench.finish("a")

    assert bench.sent(StartExecution) == ["b"]
    assert bench.attempt("b").start.loading_timeout_seconds == 0.0


def test_a_model_that_must_be_loaded_has_time_for_that_beside_the_first_output_clock() -> None:
    bench = bench_with()
    bench.launch(thinks("a", first_output_timeout_seconds=60.0), thinks("a1"), thinks("b", "llama"))
    bench.queue("a", "a1", "b")
    for step in ("a", "a1"):
        bench.finish(step)

    reasons = [bench.attempt(step).placement_reason.partition(" Of ")[2] for step in ("a1", "b")]
    assert reasons == [
        "gpu0, 0 of 1 model slots were in use.",
        "gpu0, 0 of 1 model slots were in use, and llama may have to be loaded.",
    ]
    extra = [bench.attempt(step).start.loading_timeout_seconds for step in ("a", "a1", "b")]
    assert extra == [LOADING_SECONDS, 0.0, LOADING_SECONDS]
    assert bench.attempt("a").start.first_output_timeout_seconds == 60.0


def test_a_rate_limit_parks_its_pool_until_the_time_that_was_named() -> None:
    """C10: no launch meanwhile, and one at that time; the others of the pool are told."""
    bench = bench_with(HostPool("hosted", 8))
    bench.launch(thinks("one"), thinks("two"))
    bench.launch(thinks("one"), run=OTHER)
    bench.queue("one")

    bench.finish("one", "failed", "RATE_LIMITED", retry_after=120.0)
    bench.queue("two")
    bench.queue("one", run=OTHER)
    parked = bench.attempt("one").end_time
    assert parked is not None
    assert live(bench) == {}
    for wait in (bench.step("one").wait, bench.step("two").wait, bench.step("one", OTHER).wait):
        assert wait is not None
        assert (wait.kind, wait.text) == (WaitKind.PARKED, "hosted is parked until 00:18:40 UTC (rate limited).")
    assert bench.state.wake_at == parked + 120.0
    bench.wake()

    assert live(bench) == {"hosted": 3}
    assert len(bench.run.steps["one"].attempts) == 2


def test_a_park_is_told_to_steps_that_were_waiting_for_a_slot() -> None:
    bench = bench_with()
    bench.launch(thinks("one"), thinks("two"))
    bench.queue("one", "two")

    bench.finish("one", "failed", "RATE_LIMITED", retry_after=60.0)

    assert [event.kind for event in bench.stored(StepWaits)] == [WaitKind.PARKED] * 2  # type: ignore[union-attr]


def test_a_park_survives_a_restart() -> None:
    bench = bench_with()
    bench.launch(thinks("one"), thinks("two"))
    bench.queue("one")
    bench.finish("one", "failed", "RATE_LIMITED", retry_after=300.0)
    until = bench.state.pools["gpu0"].parked_until

    bench.now += 100.0
    bench.crash()
    bench.host("h1", 8, "reader", models={"reader": (GPU, "qwen")})
    bench.queue("two")
    assert live(bench) == {}
    assert bench.state.pools["gpu0"].parked_until == until
    bench.take(later=until - bench.now)

    assert live(bench) == {"gpu0": 1}


def test_rate_limits_cost_no_attempt_and_have_their_own_number_of_retries() -> None:
    bench = bench_with()
    bench.launch(asks("one", agents=("reader",), attempts=1))
    bench.queue("one")

    for number in range(1, 6):
        bench.finish("one", "failed", "RATE_LIMITED", retry_after=10.0)
        bench.take(later=10.1)
        assert len(bench.step("one").attempts) == number + 1
    bench.finish("one", "failed", "RATE_LIMITED", retry_after=10.0)

    assert [event.failure.reason for event in bench.stored(StepFailed)] == ["RATE_LIMITED"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("named", "seconds"), [(0.0, 30.0), (7.0, 7.0), (1e9, 6 * 3600.0)])
def test_a_park_is_bounded_and_has_a_usual_length(named: float, seconds: float) -> None:
    bench = bench_with()
    bench.launch(thinks("one"))
    bench.queue("one")

    bench.finish("one", "failed", "RATE_LIMITED", retry_after=named)

    assert bench.state.pools["gpu0"].parked_until == pytest.approx(bench.now + seconds)


def test_waiting_for_a_pool_counts_to_the_queue_clock_alone() -> None:
    bench = bench_with()
    bench.launch(thinks("one"), thinks("two", queue_timeout_seconds=60.0, timeout_seconds=30.0))
    bench.queue("one", "two")

    bench.take(later=59.0)
    assert bench.states()["two"] == "queued"
    bench.take(later=1.5)

    (failed,) = bench.stored(StepFailed)
    assert failed.failure.reason == "QUEUE_TIMEOUT"  # type: ignore[union-attr]
    assert "Waits for a slot of gpu0" in failed.failure.message  # type: ignore[union-attr]


def test_what_is_remembered_of_a_pool_is_the_same_after_a_restart() -> None:
    bench = bench_with()
    bench.launch(thinks("a", "llama"), *(thinks(step) for step in STEPS[:3]))
    bench.queue("a", *STEPS[:3])
    for step in ("a", "s0"):
        bench.finish(step)
    before = dict(bench.state.pools)

    bench.crash()

    assert bench.state.pools == before
    assert before["gpu0"] == Pool("qwen", before["gpu0"].loaded_at, 2, served=before["gpu0"].served)


@pytest.mark.parametrize(
    ("answer", "is_held"),
    [(Checked("findings"), False), (OutputInvalid(WRONG, "prompt", "input"), True), (OutputInvalid(WRONG), False)],
    ids=["valid", "to be repaired", "invalid"],
)
def test_an_agent_that_is_asked_nothing_more_gives_its_slot_back_while_it_lives(answer: Answer, is_held: bool) -> None:  # noqa: FBT001
    """D13: it keeps the slot while its turn is checked, and for the repair; a restart knows both."""
    bench = Bench()
    reader = HostAgent("reader", "", takes_turns=True, pool="gpu0", model="qwen")
    host = HostReported("h1", connected=True, slots=8, agents=(reader,), pools=(GPU,))
    bench.take(host)
    bench.launch(thinks("one", repairs=True), thinks("two"))
    bench.queue("one", "two")
    attempt = bench.attempt("one").id

    bench.report(attempt, 1, AgentStarted(Confinement()), AgentTurnEnded(1, 0, 5))
    assert bench.states()["two"] == "queued"
    bench.take(WorkFinished(WorkResult(Work(RUN, WorkKind.CHECK, "one", attempt, 1), answer)))
    states = bench.states()
    bench.crash()
    bench.take(host)

    assert bench.attempt("one").is_live
    assert states["two"] == ("queued" if is_held else "running")
    assert bench.states() == states
