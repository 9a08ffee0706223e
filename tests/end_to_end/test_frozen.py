"""Processes that stand still for a while, seen from outside: real services, stopped and continued. Keeps I4, C6 and rule 7."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from conductor.v1 import pool_service_pb2_grpc, run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow, Retries
from conductor.v1.pool_service_pb2 import GetHostRequest, Host
from conductor.v1.run_service_pb2 import Attempt, GetRunRequest, GetStepRequest, Run
from tests.kit import flows
from tests.kit.services import Pair, Service, running_pair
from tests.kit.waiting import wait_until

Stub = run_service_pb2_grpc.RunServiceStub
SILENCE_SECONDS = 3  # hosts say something every 2 s
pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("frozen")
    settings = folder / "conductor.toml"
    settings.write_text(f"[limits]\nsilence_seconds = {SILENCE_SECONDS}\nprogress_seconds = 1\n")
    with running_pair(folder, extra=("--config", str(settings))) as running:
        yield running


def send(service: Service, number: signal.Signals) -> None:
    assert service.process is not None
    service.process.send_signal(number)


def impatient(step: Flow.Step) -> Flow.Step:
    """A step that is given up a second after its host went away, and tried again at once."""
    limits = AgentWork(
        lost_after=Duration(seconds=1), may_overlap=True, retries=Retries(first_pause=Duration(nanos=50_000_000))
    )
    step.agent.MergeFrom(limits)
    return step


def test_a_conductor_that_stood_still_blames_no_host_and_one_result_of_a_host_that_did_counts(
    pair: Pair, tmp_path: Path
) -> None:
    steps = [impatient(flows.scripted(name, "say begin", "sleep 2", "say end")) for name in ("one", "two")]
    with pair.channel() as channel:
        stub, pool = Stub(channel), pool_service_pb2_grpc.PoolServiceStub(channel)

        def shown() -> Run:
            return stub.GetRun(GetRunRequest(name=run), timeout=30)

        def host(name: str) -> Host:
            return pool.GetHost(GetHostRequest(name=f"hosts/{name}"), timeout=30)

        run = stub.CreateRun(flows.request(flows.plain_workspace(tmp_path / "w"), *steps), timeout=30).name
        # Both hosts have the same room, so each has one of the two.
        wait_until(lambda: all(s.attempts and s.attempts[0].state == Attempt.STATE_RUNNING for s in shown().steps))
        moved = next(step for step in shown().steps if step.attempts[0].host == "alpha").name

        # The conductor stands still for longer than a host may be silent, and than the steps wait for theirs. So does alpha,
        # and goes on to.
        send(pair.hosts["alpha"], signal.SIGSTOP)
        send(pair.conductor, signal.SIGSTOP)
        time.sleep(SILENCE_SECONDS + 1.2)
        send(pair.conductor, signal.SIGCONT)
        assert Attempt.STATE_LOST not in [one.state for step in shown().steps for one in step.attempts]

        # Only now alpha has been silent to a conductor that listened: its attempt is lost, and made on beta.
        wait_until(lambda: host("alpha").state == Host.STATE_DISCONNECTED)
        assert host("alpha").HasField("disconnected_time")
        wait_until(lambda: len(stub.GetStep(GetStepRequest(name=moved), timeout=30).attempts) == 2)
        send(pair.hosts["alpha"], signal.SIGCONT)
        wait_until(lambda: host("alpha").state == Host.STATE_READY)
        wait_until(lambda: shown().state == Run.STATE_SUCCEEDED)

        states = {step.name: [(one.host, one.state) for one in step.attempts] for step in shown().steps}
        assert states.pop(moved) == [("alpha", Attempt.STATE_LOST), ("beta", Attempt.STATE_SUCCEEDED)]
        assert list(states.values()) == [[("beta", Attempt.STATE_SUCCEEDED)]]
        assert stub.GetStep(GetStepRequest(name=moved), timeout=30).text == "begin\nend\n"
        told = [line for line in pair.conductor.log.read_text().splitlines() if "host_disconnected" in line]
        assert len(told) == 1
        assert "alpha" in told[0]
        # What alpha has to say late is dismissed: it lets the attempt go.
        wait_until(lambda: "execution_released" in pair.hosts["alpha"].log.read_text())
