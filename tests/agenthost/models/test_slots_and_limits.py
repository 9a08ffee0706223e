"""The slots of a pool at a host's gateway, and what it does about rate limits. Keeps C10 and C12 on the host's side."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agenthost.core.models.pools import ModelPool
from agenthost.models.link import ModelGateway
from agenthost.models.settings import read_models
from agenthost.models.usage import read_use
from tests.agenthost.models.stage import PYTHON, Stage, gone, opened
from tests.fakes.model_server import BREAK_OFF, Answer, Asked, ModelServer, Pause
from tests.kit.attempts import Workbench, finish, output

pytestmark = pytest.mark.processes

STREAM = {"content-type": "text/event-stream"}
SLOW = b"data: more\n\n"
# Asks four times at once, and says each status when its answer has ended.
PARALLEL = """
import http.client, threading
def ask(path):
    link = http.client.HTTPConnection("127.0.0.1", 8787, timeout=60)
    link.request("POST", path, body=b"{}" + b" " * 200_000)
    print(link.getresponse().read() and "whole", flush=True)
threads = [threading.Thread(target=ask, args=("/v1/chat/completions",)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
# Hangs up on a request that is being answered, with another one waiting behind it; then asks again.
HANGS_UP = """
import http.client, socket, time
body = b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
first = socket.create_connection(("127.0.0.1", 8787)); first.sendall(body); first.recv(10)
second = socket.create_connection(("127.0.0.1", 8787)); second.sendall(body); time.sleep(0.2)
second.close(); time.sleep(0.2)
first.close()
link = http.client.HTTPConnection("127.0.0.1", 8787, timeout=60)
link.request("POST", "/v1/chat/completions", body=b"{}")
print(link.getresponse().status, flush=True)
"""


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch) as stage:
        yield stage


@contextlib.asynccontextmanager
async def pooled(
    folder: Path, url: str, slots: int, note_quiet: Callable[[str, float], None] = lambda *_: None
) -> AsyncIterator[tuple[Stage, ModelGateway]]:
    """A gateway of two models that are one pool."""
    models = read_models({"main": {"url": url}, "other": {"url": url}})
    pools = {name: ModelPool("gpu0", slots) for name in models}
    async with ModelGateway(folder, models, lambda: pools, note_quiet) as gateway:
        await gateway.ready()
        yield Stage(await Workbench.make(folder), ModelServer(), gateway), gateway
        await gateway.end()
    await gone(folder)


async def test_requests_of_one_attempt_wait_for_each_other(stage: Stage) -> None:
    pieces = [piece for _ in range(3) for piece in (SLOW, Pause(0.05))]
    stage.model.reply = lambda _: Answer(pieces=pieces)
    async with await stage.bench.spawn(PYTHON, "-I", "-S", "-c", PARALLEL, model="main") as attempt:
        stage.gateway.attend("parallel", attempt._folder, "main")
        done = await finish(attempt)

    assert done.stdout.split() == ["whole"] * 4
    assert (len(stage.model.asked), stage.model.most_at_once) == (4, 1)


async def test_a_pause_that_an_endpoint_asks_for_is_told_and_that_of_another_host_is_kept(tmp_path: Path) -> None:
    """C10: over the conductor, a pool is quiet on every host."""
    noted: list[tuple[str, float]] = []
    async with ModelServer.serving() as model, pooled(tmp_path, model.url, 2, lambda *of: noted.append(of)) as it:
        model.reply = lambda _: Answer(429, {"retry-after": "1"}, (b"{}",)) if len(model.asked) == 1 else Answer()
        stage, gateway = it
        async with stage.agent("main") as agent, stage.agent("other") as other:
            first = await agent.ask(body="{}")
            gateway.keep_quiet("gpu0", 1.0)
            gateway.keep_quiet("never heard of", 9.0)
            begun = time.monotonic()
            second = await other.ask(body="{}")

    assert (first[:10], second[:10]) == ("status 200",) * 2
    assert noted == [("gpu0", 1.0)]
    assert time.monotonic() - begun >= 0.9


async def test_a_pool_has_its_slots_over_all_its_models_and_attempts_of_a_host(tmp_path: Path) -> None:
    async with ModelServer.serving() as model, pooled(tmp_path, model.url, 2) as (stage, _):
        model.reply = lambda _: Answer(pieces=(SLOW, Pause(0.3), SLOW))
        async with contextlib.AsyncExitStack() as stack:
            names = ("main", "other", "main", "other")
            agents = [await stack.enter_async_context(stage.agent(name)) for name in names]
            for agent in agents:
                await agent.begin()
            for agent in agents:
                await output(agent.attempt, "end")

    assert (len(model.asked), model.most_at_once) == (4, 2)


async def test_a_request_whose_agent_hangs_up_is_cancelled_at_the_model_and_leaves_the_queue(tmp_path: Path) -> None:
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        heard.append("asked")
        if len(heard) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nso far")
            assert await reader.read(1) == b""
            heard.append("cancelled")
        else:
            writer.write(b"HTTP/1.1 204 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    command = (PYTHON, "-I", "-S", "-c", HANGS_UP)
    async with (
        server,
        pooled(tmp_path, url, 1) as (stage, gateway),
        await stage.bench.spawn(*command, model="main") as attempt,
    ):
        gateway.attend("leaver", attempt._folder, "main")
        done = await finish(attempt)

    assert done.stdout.split() == ["204"]
    assert heard == ["asked", "cancelled", "asked"]


async def test_a_short_rate_limit_is_waited_out_and_no_request_of_the_pool_is_sent_meanwhile(tmp_path: Path) -> None:
    """C10: a 429 with retry-after 2 means no request for two seconds."""
    times: list[float] = []

    def reply(_: Asked) -> Answer:
        times.append(time.monotonic())
        return Answer(429, {"retry-after": "2"}, (b"{}",)) if len(times) == 1 else Answer()

    async with ModelServer.serving() as model, pooled(tmp_path, model.url, 4) as (stage, _):
        model.reply = reply
        async with stage.agent("main") as first, stage.agent("other") as second:
            await first.begin()
            while not times:
                await asyncio.sleep(0.01)
            said = await second.ask()
            await output(first.attempt, "end")
            told = first.said()
        book = read_use(first.folder)

    assert (told[:10], said[:10]) == ("status 200", "status 200")
    assert all(later - times[0] >= 2.0 for later in times[1:])
    assert len(times) == 3
    assert book is not None
    assert (book.requests, book.statuses) == (2, {429: 1, 200: 1})


@pytest.mark.parametrize(
    ("headers", "answers"), [({"retry-after": "61"}, 1), ({"retry-after": "0"}, 4)], ids=["too long", "a fourth"]
)
async def test_a_long_rate_limit_or_a_fourth_ends_the_attempt_by_401_and_the_book_keeps_it(
    stage: Stage, headers: dict[str, str], answers: int
) -> None:
    stage.model.reply = lambda _: Answer(429, headers, (b'{"error": {"message": "slow down"}}',))
    async with stage.agent() as agent:
        first, second, third = [await agent.ask() for _ in range(3)]
    book = read_use(agent.folder)

    assert first.startswith("status 429 None")
    assert "slow down" in first
    assert [second[:23], third[:23]] == ["status 401 rate_limited"] * 2
    assert len(stage.model.asked) == answers
    assert book is not None
    assert (book.statuses, book.refused, book.armed) == ({429: answers}, 2, True)
    assert book.retry_after_seconds == int(headers["retry-after"])


@pytest.mark.parametrize("ends_at_cut", [True, False])
async def test_an_agent_that_would_tell_a_broken_text_again_gets_no_other_answer(
    stage: Stage, *, ends_at_cut: bool
) -> None:
    stage.model.answers.append(
        Answer(200, STREAM, (b'data: {"choices": [{"delta": {"content": "Half"}}]}\n\n', BREAK_OFF))
    )
    stage.model.reply = lambda _: Answer(200, STREAM, (b"data: [DONE]\n\n",))
    async with stage.agent() as agent:
        await stage.gateway.leave(agent.name)
        stage.gateway.attend(agent.name, agent.folder, "main", ends_at_cut=ends_at_cut)
        first, second = [await agent.ask(body='{"messages": []}') for _ in range(2)]
        book = read_use(agent.folder)
        await stage.gateway.begin_turn(agent.name)
        third = await agent.ask(body='{"messages": []}')

    assert "Half" in first
    assert third.startswith("status 200")
    assert second.startswith("status 401 answer_broke_off" if ends_at_cut else "status 200")
    assert book is not None
    assert book.armed is ends_at_cut
    assert len(stage.model.asked) == (2 if ends_at_cut else 3)


async def test_what_armed_the_end_outlives_the_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch) as stage:
        model.answers.append(Answer(429, {"retry-after": "900"}, (b"{}",)))
        async with stage.agent() as agent:
            assert (await agent.ask()).startswith("status 429")
            await stage.gateway.leave(agent.name)
            stage.gateway.attend(agent.name, agent.folder, "main")
            said = await agent.ask()

    assert said.startswith("status 401 rate_limited")
    assert len(model.asked) == 1
