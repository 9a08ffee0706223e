"""Model pools over real hosts, seen from outside and at the model. Keeps C10 and C12."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.run_service_pb2 import Run, Step, Wait, WatchRunRequest
from tests.fakes.model_server import Answer, ModelServer, Pause
from tests.kit import flows
from tests.kit.services import Pair, running_pair

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


class ServedModel:
    """A model server in a thread of its own, so that a test may block."""

    def __init__(self) -> None:
        self.model = ModelServer()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    async def _serve(self) -> None:
        async with ModelServer.serving() as self.model:
            self._ready.set()
            await self._over.wait()

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[ModelServer]:
        served = cls()
        served._thread.start()
        served._ready.wait()
        try:
            yield served.model
        finally:
            served._loop.call_soon_threadsafe(served._over.set)
            served._thread.join()
            served._loop.close()


@contextmanager
def pool_of_two_hosts(folder: Path, model: ModelServer, settings: str) -> Iterator[tuple[Pair, Path]]:
    agents = folder / "agents"
    agents.mkdir()
    (agents / "asker.toml").write_text(SPEC)
    (folder / "host.toml").write_text(f'[models.gpu]\nurl = "{model.url}"\n{settings}\n')
    workspace = flows.plain_workspace(folder / "w")
    options = ("--config", str(folder / "host.toml"), "--agents-dir", str(agents), "--slots", "8")
    with running_pair(folder, extra=("--root", str(workspace)), host_extra=options) as pair:
        yield pair, workspace


def asks(step: str) -> Flow.Step:
    return Flow.Step(id=step, agent=AgentWork(agents=["asker"], prompt="Go."))


def test_two_hosts_never_ask_a_pool_of_one_slot_twice_at_once_and_the_wait_is_told(tmp_path: Path) -> None:
    """C12: ten steps, agents that ask in parallel, one slot: all ten end, and one request is at the model at a time."""
    with ServedModel.serving() as model:
        model.reply = lambda _: Answer(pieces=(b"{", Pause(0.02), b"}"))
        with (
            pool_of_two_hosts(tmp_path, model, 'pool = "gpu0"\nslots = 1') as (pair, workspace),
            pair.channel() as channel,
        ):
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            # It takes a slot of one host for a while: meanwhile the others are placed on the other host.
            holder = flows.scripted("holder", "sleep 4", "say done")
            asked = flows.request(workspace, holder, *(asks(f"s{number}") for number in range(10)))
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
