"""Model pools over real hosts, seen from outside and at the model. Keeps C10 and C12."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conductor.v1 import pool_service_pb2_grpc, run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.pool_service_pb2 import ListHostsRequest
from conductor.v1.run_service_pb2 import CancelRunRequest, GetStepRequest, Run, Step, Wait, WatchRunRequest
from tests.fakes.model_server import Answer, Asked, ModelServer, Pause
from tests.kit import flows
from tests.kit.served_model import ServedModel
from tests.kit.services import Pair, running_pair
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

# Asks three times at once, and again one after another, and says how many answers came.
ASKER = """
import http.client, threading
answers = []
def ask(*_):
    link = http.client.HTTPConnection("127.0.0.1", 8787, timeout=100)
    link.request("POST", "/v1/chat/completions", body=b"{}")
    answer = link.getresponse()
    answer.read()
    answers.append(answer.status)
    if answer.status != 200: raise SystemExit(1)
threads = [threading.Thread(target=ask) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ask()
print("answers", sorted(answers), flush=True)
"""
SPEC = f"""
name = "asker"
description = "Asks its model in parallel."
argv = ["{{python}}", "-I", "-S", "-c", '''{ASKER}''']
network = "model"
model = "gpu"
"""


@contextmanager
def pool_of_hosts(folder: Path, model: ModelServer, settings: str, *hosts: str) -> Iterator[tuple[Pair, Path]]:
    agents = folder / "agents"
    agents.mkdir()
    (agents / "asker.toml").write_text(SPEC)
    (folder / "host.toml").write_text(f'[models.gpu]\nurl = "{model.url}"\n{settings}\n')
    workspace = flows.plain_workspace(folder / "w")
    options = ("--config", str(folder / "host.toml"), "--agents-dir", str(agents), "--slots", "8")
    with running_pair(folder, hosts=hosts, extra=("--root", str(workspace)), host_extra=options) as pair:
        yield pair, workspace


def limited(seconds: int) -> Answer:
    return Answer(429, {"retry-after": str(seconds), "content-type": "application/json"}, (b"{}",))


def asks(step: str, *needs: str) -> Flow.Step:
    return Flow.Step(id=step, needs=needs, agent=AgentWork(agents=["asker"], prompt="Go."))


@pytest.mark.long
def test_two_hosts_never_ask_a_pool_of_one_slot_twice_at_once_and_the_wait_is_told(tmp_path: Path) -> None:
    """C12: ten steps, agents that ask in parallel, one slot: all ten end, and one request is at the model at a time."""
    with ServedModel.serving() as model:
        model.reply = lambda _: Answer(pieces=(b"{", Pause(0.02), b"}"))
        with (
            pool_of_hosts(tmp_path, model, 'pool = "gpu0"\nslots = 1', "alpha", "beta") as (pair, workspace),
            pair.channel() as channel,
        ):
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            # While it takes a slot of one host, steps go to the other one; those after it go to the first by name.
            holder = flows.scripted("holder", "sleep 3", "say done")
            steps = [asks(f"s{number}", *(("holder",) if number > 4 else ())) for number in range(10)]
            asked = flows.request(workspace, holder, *steps)
            run = stub.CreateRun(asked, timeout=60)
            told = list(stub.WatchRun(WatchRunRequest(name=run.name), timeout=150))

    final = told[-1].run
    assert final.state == Run.STATE_SUCCEEDED
    assert [step.state for step in final.steps] == [Step.STATE_SUCCEEDED] * 11
    assert {attempt.host for step in final.steps[1:] for attempt in step.attempts} == {"alpha", "beta"}
    assert (model.most_at_once, len(model.asked)) == (1, 40)
    waits = [message.step.wait for message in told if message.step.HasField("wait")]
    assert {wait.pool for wait in waits if wait.kind == Wait.KIND_POOL} == {"gpu0"}
    assert any("Waits for a slot of gpu0 (1 of 1 in use by s" in wait.text for wait in waits)


@pytest.mark.long
def test_a_conductor_that_is_killed_again_and_again_gives_no_slot_twice(tmp_path: Path) -> None:
    """C12, I3: who holds the slot follows from stored events only; the agent at work goes on meanwhile."""
    with ServedModel.serving() as model:
        model.reply = lambda _: Answer(pieces=(b"{", Pause(0.1), b"}"))
        settings = 'pool = "gpu0"\nslots = 1'
        with pool_of_hosts(tmp_path, model, settings, "alpha", "beta") as (pair, workspace):
            with pair.channel() as channel:
                stub = run_service_pb2_grpc.RunServiceStub(channel)
                asked = flows.request(workspace, *(asks(f"s{number}") for number in range(6)))
                run = stub.CreateRun(asked, timeout=60).name
            for count in (2, 9, 15):
                wait_until(lambda count=count: len(model.asked) >= count)  # type: ignore[misc]
                pair.conductor.kill()
                pair.conductor.start()
                pair.wait_until_ready()
            with pair.channel() as channel:
                told = list(
                    run_service_pb2_grpc.RunServiceStub(channel).WatchRun(WatchRunRequest(name=run), timeout=150)
                )

    assert told[-1].run.state == Run.STATE_SUCCEEDED
    assert [len(step.attempts) for step in told[-1].run.steps] == [1] * 6
    assert (model.most_at_once, len(model.asked)) == (1, 24)


@pytest.mark.long
def test_a_short_rate_limit_means_no_request_for_its_time_and_the_run_completes(tmp_path: Path) -> None:
    """C10: 429 with retry-after 2, for one of two agents on two hosts; both wait, and no step is tried again."""
    times: list[float] = []

    def reply(_: Asked) -> Answer:
        times.append(time.monotonic())
        return limited(2) if len(times) == 3 else Answer(pieces=(b"{", Pause(0.2), b"}"))

    with ServedModel.serving() as model:
        model.reply = reply
        settings = 'pool = "gpu0"\nslots = 2'
        with pool_of_hosts(tmp_path, model, settings, "alpha", "beta") as (pair, workspace), pair.channel() as channel:
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            run = stub.CreateRun(flows.request(workspace, asks("one"), asks("two")), timeout=60)
            told = list(stub.WatchRun(WatchRunRequest(name=run.name), timeout=100))

    assert told[-1].run.state == Run.STATE_SUCCEEDED
    assert [len(step.attempts) for step in told[-1].run.steps] == [1, 1]
    assert {attempt.host for step in told[-1].run.steps for attempt in step.attempts} == {"alpha", "beta"}
    assert len(times) == 9
    later = [moment - times[2] for moment in times[3:]]
    assert sum(gap < 1.9 for gap in later) <= 1  # one that was under way already


@pytest.mark.long
def test_a_long_rate_limit_parks_its_pool_in_sight_and_through_a_restart_while_others_go_on(tmp_path: Path) -> None:
    """C10, I3: nothing is asked meanwhile; GetStep, WatchRun and PoolService say until when."""
    with ServedModel.serving() as model:
        model.reply = lambda _: limited(900)
        with pool_of_hosts(tmp_path, model, 'pool = "gpu0"\nslots = 1', "alpha", "beta") as (pair, workspace):
            with pair.channel() as channel:
                stub = run_service_pb2_grpc.RunServiceStub(channel)
                asked = flows.request(workspace, asks("one"), asks("two"), flows.scripted("other", "say done"))
                run = stub.CreateRun(asked, timeout=60).name
                for message in stub.WatchRun(WatchRunRequest(name=run), timeout=60):
                    if message.step.wait.kind == Wait.KIND_PARKED and message.step.name.endswith("/one"):
                        break
                before = stub.GetStep(GetStepRequest(name=f"{run}/steps/one"), timeout=20)
            pair.conductor.kill()
            pair.conductor.start()
            pair.wait_until_ready()
            with pair.channel() as channel:
                stub = run_service_pb2_grpc.RunServiceStub(channel)
                hosts = pool_service_pb2_grpc.PoolServiceStub(channel).ListHosts(ListHostsRequest(), timeout=20).hosts
                wait_until(lambda: step_of(stub, run, "other").state == Step.STATE_SUCCEEDED)
                after = [step_of(stub, run, name) for name in ("one", "two")]
                stub.CancelRun(CancelRunRequest(name=run), timeout=20)

    assert [attempt.failure.reason for attempt in before.attempts] == ["RATE_LIMITED"]
    assert before.wait.text.startswith("gpu0 is parked until ")
    assert [(step.state, step.wait.text) for step in after] == [(Step.STATE_QUEUED, before.wait.text)] * 2
    assert len(after[0].attempts) == 1
    (pool,) = {pool.name: pool for host in hosts for pool in host.pools}.values()
    assert (pool.name, pool.slots, pool.in_use, pool.waiting) == ("gpu0", 1, 0, 2)
    assert pool.parked_until_time.seconds > time.time() + 600
    assert len(model.asked) == 1


def step_of(stub: run_service_pb2_grpc.RunServiceStub, run: str, name: str) -> Step:
    return stub.GetStep(GetStepRequest(name=f"{run}/steps/{name}"), timeout=20)
