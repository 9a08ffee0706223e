"""Lines about pools of model slots: in the live view, outside of a terminal, and in the list of hosts. Keeps C12 and K2."""

import pytest

from conductor.cli.views.plain import PlainView
from conductor.cli.views.pools import likeness_lines, pool_lines
from conductor.v1.pool_service_pb2 import Host, HostModel, ListedModel, ModelPool
from conductor.v1.run_service_pb2 import (
    Progress,
    Step,
    StepWait,
    Wait,
    WatchRunResponse,
)
from tests.conductor.cli.drawn_runs import BROKEN, drawn, run_of, step

QUEUES = "Waits for a slot of gpu0 (1 of 1 in use by one of …a2h190)."


def test_the_live_view_says_who_holds_the_slot_of_a_pool_now_and_plain_lines_only_that_a_step_waits(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """C12: the holder changes with every attempt."""
    first = run_of(step("a", Step.STATE_QUEUED, QUEUES), step("b", Step.STATE_QUEUED, QUEUES))
    now = Wait(kind=Wait.KIND_POOL, text=QUEUES.replace("one", "two"), pool="gpu0")
    told = Progress(waits=[StepWait(step=f"runs/x/steps/{name}", wait=now) for name in ("a", "b")])

    picture = drawn(first, WatchRunResponse(progress=told), width=100).splitlines()
    view = PlainView()
    for message in (first, WatchRunResponse(progress=told)):
        view.show(message)

    assert picture[0].rstrip() == "◌ a waits for a slot of gpu0 (1 of 1 in use by two of …a2h190)"
    assert picture[1].rstrip() == "◌ b waits for the same"
    assert capfd.readouterr().err.splitlines() == [
        "run runs/x running",
        "◌ a  queued  waits for a slot of gpu0 (1 of 1 in use by one of …a2h190)",
    ]


def test_a_wait_that_changed_is_told_as_the_step_tells_it() -> None:
    """What progress told before does not outlive the next change of the step."""
    now = Wait(kind=Wait.KIND_POOL, text=QUEUES, pool="gpu0")
    parked = "gpu0 is parked until 14:03:00 UTC (rate limited)."
    picture = drawn(
        run_of(step("a", Step.STATE_QUEUED, BROKEN)),
        WatchRunResponse(progress=Progress(waits=[StepWait(step="runs/x/steps/a", wait=now)])),
        WatchRunResponse(step=step("a", Step.STATE_QUEUED, parked)),
    )

    assert picture.splitlines()[0].rstrip() == f"◌ a waits: {parked}"


def test_a_pool_has_one_line_for_all_hosts() -> None:
    """C10, C12."""
    gpu = ModelPool(name="gpu0", slots=1, in_use=1, waiting=4, loaded_model="qwen3")
    cloud = ModelPool(name="cloud", slots=8)
    cloud.parked_until_time.FromSeconds(1_125)
    hosts = [Host(name="hosts/a", pools=[gpu]), Host(name="hosts/b", pools=[gpu, cloud])]

    assert pool_lines(hosts, now=1_000) == [
        "pool cloud  0 of 8 slots in use by this conductor  parked for 2 min 05 s (rate limited)",
        "pool gpu0  1 of 1 slot in use by this conductor  4 waiting  last asked: qwen3",
    ]


def test_two_pools_that_look_like_one_server_are_named() -> None:
    """C12: a host that reaches its own server by a loopback address knows another pool than its neighbours."""

    def host(url: str, pool: str, *models: str) -> Host:
        return Host(models=[HostModel(url=url, pool=pool, listed=[ListedModel(name=name) for name in models])])

    own = host("http://127.0.0.1:8080", "http://127.0.0.1:8080 on a", "small", "large")
    near = host("http://10.0.0.7:8080/v1", "http://10.0.0.7:8080", "large", "small")
    others = [
        host("http://127.0.0.1:8080", "http://127.0.0.1:8080 on b", "small"),
        host("http://10.0.0.8:8080", "http://10.0.0.8:8080", "small", "large", "huge"),
        host("http://10.0.0.7:9090", "http://10.0.0.7:9090", "small", "large"),
        host("http://10.0.0.9:8080", "http://10.0.0.9:8080"),
    ]

    (line,) = likeness_lines([own, near, *others])

    assert line.startswith("pools http://127.0.0.1:8080 on a and http://10.0.0.7:8080 look like one server")
    assert likeness_lines([own, *others]) == []
    named = [host("http://127.0.0.1:8080", "gpu0", "small"), host("http://10.0.0.7:8080", "gpu0", "small")]
    assert likeness_lines(named) == []
