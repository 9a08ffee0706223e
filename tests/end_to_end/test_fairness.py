"""Slots shared between runs over real hosts, seen from outside. Keeps C7."""

import time
from pathlib import Path

import pytest

from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import CancelRunRequest, GetRunRequest, Run
from servicekit.times import seconds
from tests.kit import flows
from tests.kit.runs import find_settled, measure_shares
from tests.kit.services import running_pair
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(180)]

HOSTS = ("alpha", "beta", "gamma")
SLOTS = 6
STEP_SECONDS = 1.0
STEP = f"sleep {STEP_SECONDS:g}", "say done"


def test_runs_get_their_share_and_a_small_run_does_not_wait_for_a_large_one(tmp_path: Path) -> None:
    workspace = flows.plain_workspace(tmp_path / "w")
    options = ("--slots", str(SLOTS // len(HOSTS)))
    with (
        running_pair(tmp_path, hosts=HOSTS, extra=("--root", str(workspace)), host_extra=options) as pair,
        pair.channel() as channel,
    ):
        stub = run_service_pb2_grpc.RunServiceStub(channel)

        def create(steps: int) -> str:
            made = [flows.scripted(f"s{number}", *STEP) for number in range(steps)]
            return stub.CreateRun(flows.request(workspace, *made), timeout=60).name

        def ended(name: str) -> bool:
            return stub.GetRun(GetRunRequest(name=name), timeout=20).state == Run.STATE_SUCCEEDED

        large = create(150)
        time.sleep(2 * STEP_SECONDS)
        small = create(1)
        wait_until(lambda: ended(small))
        (step,) = stub.GetRun(GetRunRequest(name=small), timeout=20).steps
        waited = seconds(step.attempts[0].create_time) - seconds(step.ready_time)
        attempts = [one.attempts[0] for one in stub.GetRun(GetRunRequest(name=large), timeout=20).steps if one.attempts]
        longest = max(seconds(one.end_time) - seconds(one.create_time) for one in attempts if one.HasField("end_time"))
        stub.CancelRun(CancelRunRequest(name=large), timeout=20)
        names = [create(8) for _ in range(4)]
        for name in names:
            wait_until(lambda name=name: ended(name))  # type: ignore[misc]
        runs = [stub.GetRun(GetRunRequest(name=name), timeout=20) for name in names]

    assert waited <= 2 * longest  # on a busy machine a step takes longer than its agent
    shares = measure_shares(runs, SLOTS)
    assert shares.most_live <= SLOTS
    assert shares.worst_ratio(4 * STEP_SECONDS, begin=find_settled(runs), grain=STEP_SECONDS) >= 0.7
