"""The gateway between real sandboxes and a model on loopback. Keeps E8 where nothing else is said."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.models.gateway_rules import PLACEHOLDER
from agenthost.models import link as model_gateway
from agenthost.models.link import ModelGateway
from agenthost.models.settings import read_models
from agenthost.models.usage import read_use
from tests.agenthost.models.stage import AGENT, KEY, PYTHON, Asker, Stage, gateways, gone, make_certificate, opened
from tests.fakes.model_server import ANSWER, BREAK_OFF, HANG_UP, Answer, ModelServer
from tests.kit.attempts import Workbench, finish, output
from tests.kit.processes import processes_with

pytestmark = pytest.mark.processes


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch) as stage:
        yield stage


async def test_an_agent_reaches_its_model_with_the_real_key_that_it_never_sees(stage: Stage) -> None:
    stage.model.answers.append(Answer(pieces=(ANSWER, KEY[:7].encode(), KEY[7:].encode())))
    async with stage.agent() as agent:
        said = await agent.ask(authorization=f"Bearer {PLACEHOLDER}", accept="x/y")
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in processes_with("http.client")]
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in gateways(stage.bench.folder)]
        lines += [Path(f"/proc/{pid}/environ").read_bytes() for pid in gateways(stage.bench.folder)]
    (asked,) = stage.model.asked

    assert said.startswith("status 200 None")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["host"] == f"127.0.0.1:{stage.model.port}"
    assert asked.body == b"{}"
    assert KEY not in said
    assert "*" * len(KEY) in said.replace("\n", "")
    assert environments
    assert lines
    assert not any(KEY.encode() in text for text in environments + lines)
    # Not on the disk either: neither in what the shim was told, nor in the gateway's log.
    files = [path for path in stage.bench.folder.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/files"), ("GET", "/"), ("DELETE", "/v1/models/x")])
async def test_another_path_is_refused_and_never_gets_there(stage: Stage, method: str, path: str) -> None:
    async with stage.agent() as agent:
        said = await agent.ask(path, method, body="x" * 300_000)
    book = read_use(agent.folder)

    assert said.startswith("status 403 path_not_allowed")
    assert stage.model.asked == []
    assert book is not None
    assert (book.requests, book.refused) == (0, 1)


WITH_SEARCH = json.dumps({"tools": [{"type": "web_search_20250305"}]})


async def test_a_tool_of_the_provider_is_refused_before_anything_leaves_unless_the_operator_allowed_it(
    tmp_path: Path,
) -> None:
    async with ModelServer.serving() as model:
        tables = {"main": {"url": model.url}, "wide": {"url": model.url, "provider_tools": ["web_search"]}}
        async with ModelGateway(tmp_path, read_models(tables)) as gateway:
            await gateway.ready()
            stage = Stage(await Workbench.make(tmp_path), model, gateway)
            async with stage.agent("main") as narrow, stage.agent("wide") as wide:
                refused = await narrow.ask(body=WITH_SEARCH)
                again = await narrow.ask(body="{}")
                large = await narrow.ask(body=json.dumps({"x": "x" * 300_000, "tools": [{"googleSearch": {}}]}))
                unlisted = await narrow.ask(body='{"extra_body": {"tools": []}}', **{"x-tools": "web_search"})
                compressed = await narrow.ask(body="{}", **{"content-encoding": "gzip"})
                allowed = await wide.ask(body=WITH_SEARCH)
            await gateway.end()
        await gone(tmp_path)
    book = read_use(narrow.folder)

    assert refused.startswith("status 403 provider_tool_not_allowed")
    assert 'provider_tools = [\\"web_search\\"]' in refused
    assert large.startswith("status 403 provider_tool_not_allowed")
    assert unlisted.startswith("status 403 field_not_listed")
    assert "extra_body" in unlisted
    assert compressed.startswith("status 415 encoded_request")
    assert [again[:10], allowed[:10]] == ["status 200"] * 2
    assert [asked.body for asked in model.asked] == [b"{}", WITH_SEARCH.encode()]
    assert book is not None
    assert (book.requests, book.refused) == (1, 4)
    assert book.kept_back == (
        "provider tool web_search",
        "provider tool google_search",
        "header x-tools",
        "field extra_body",
    )


async def test_requests_of_all_agents_share_the_connections_to_their_endpoint(stage: Stage) -> None:
    async with stage.agent() as first, stage.agent() as second:
        said = [await agent.ask() for agent in (first, second, first, second)]

    assert [text[:10] for text in said] == ["status 200"] * 4
    assert stage.model.connections == 1


@pytest.mark.parametrize(
    ("path", "begins", "times"), [("/v1/chat/completions", "status 200", 3), ("/v1/files", "status 502", 2)]
)
async def test_a_request_is_sent_again_only_where_that_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, begins: str, times: int
) -> None:
    """The kept connection takes the request and dies without a word. What stores something is not sent twice."""
    paths = ["/v1/chat/completions", "/v1/files"]
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch, paths=paths) as stage:
        model.answers += [Answer(), HANG_UP, Answer()]
        async with stage.agent() as agent:
            assert "status 200" in await agent.ask()
            said = await agent.ask(path)

    assert said.startswith(begins)
    assert len(model.asked) == times


async def test_a_stream_arrives_before_it_ends(stage: Stage) -> None:
    more = asyncio.Event()
    usage = b'data: {"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
    pieces = (b"data: first\n\n", more, b"data: second\n\n", usage)
    stage.model.answers.append(Answer(headers={"content-type": "text/event-stream"}, pieces=pieces))
    async with stage.agent() as agent:
        await agent.begin()
        await output(agent.attempt, "data: first")
        assert "second" not in agent.said()
        more.set()
        await output(agent.attempt, "end")
    book = read_use(agent.folder)

    assert book is not None
    assert (book.tokens.taken, book.tokens.given, book.statuses) == (3, 5, {200: 1})


async def test_who_asks_nothing_has_no_book(stage: Stage) -> None:
    """Otherwise an end would be told in other words after a restart."""
    async with stage.agent() as agent:
        pass

    assert read_use(agent.folder) is None


async def test_a_second_request_finds_the_same_connection_open(stage: Stage) -> None:
    script = """
import http.client
link = http.client.HTTPConnection("127.0.0.1", 8787)
for path in ("/v1/files", "/v1/models", "/v1/chat/completions"):
    link.request("POST" if path != "/v1/models" else "GET", path, body=b"{}" if path != "/v1/models" else None)
    answer = link.getresponse()
    answer.read()
    print(answer.status, link.sock.getsockname()[1] if link.sock else "closed", flush=True)
"""
    async with await stage.bench.spawn(PYTHON, "-I", "-S", "-c", script, model="main") as attempt:
        stage.gateway.attend("kept", attempt._folder, "main")
        lines = [line.split() for line in (await finish(attempt)).stdout.splitlines()]

    assert [status for status, _ in lines] == ["403", "200", "200"]
    assert len({port for _, port in lines}) == 1


async def test_a_dead_endpoint_is_told_as_such(stage: Stage) -> None:
    async with stage.agent("dead") as agent:
        said = await agent.ask()
    book = read_use(agent.folder)

    assert said.startswith("status 502 upstream_unreachable")
    assert '"type": "upstream_unreachable"' in said
    assert book is not None
    assert (book.requests, book.broken) == (1, 1)


async def test_a_killed_gateway_costs_what_is_in_flight_and_nothing_else(stage: Stage) -> None:
    """Keeps rule 12: the door stays with the shim, and the count with the attempt."""
    never = asyncio.Event()
    async with stage.agent() as agent:
        assert "status 200" in await agent.ask()
        stage.model.answers.append(Answer(pieces=(b"{", never)))
        await agent.begin()
        await output(agent.attempt, "{\n")
        (pid,) = gateways(stage.bench.folder)
        os.kill(pid, signal.SIGKILL)
        await output(agent.attempt, "failed")
        assert "status 200" in await agent.ask()
        assert gateways(stage.bench.folder) != [pid]
    book = read_use(agent.folder)

    assert book is not None
    assert book.statuses[200] >= 2
    assert book.metered == 2


async def test_a_daemon_that_is_gone_cuts_no_agent_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps rule 12: the next daemon finds the same gateway, and the same connection."""
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    more = asyncio.Event()
    async with ModelServer.serving() as model:
        models = read_models({"main": {"url": model.url, "key_env": "KEY_OF_THE_TEST"}})
        model.answers.append(Answer(pieces=(b'{"a":', more, b"1}")))
        bench = await Workbench.make(tmp_path)
        async with ModelGateway(tmp_path, models) as first:
            await first.ready()
            attempt = await bench.spawn(PYTHON, "-I", "-S", "-c", AGENT, model="main", keeps_stdin=True)
            agent = Asker(attempt, tmp_path / "attempt0")
            first.attend("x", agent.folder, "main")
            await agent.begin()
            await output(attempt, '{"a":')
        before = gateways(tmp_path)
        async with ModelGateway(tmp_path, models) as second, attempt:
            second.attend("x", agent.folder, "main")
            await second.ready()
            more.set()
            await output(attempt, "1}\nend")
            assert "status 200" in await agent.ask()
            assert gateways(tmp_path) == before
            await attempt.cancel("enough")
            await finish(attempt)
            await second.leave("x")
            await second.end()
        await gone(tmp_path)
    book = read_use(agent.folder)

    assert book is not None
    assert book.statuses == {200: 2}


async def test_a_gateway_of_another_version_is_replaced(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = gateways(stage.bench.folder)
    monkeypatch.setattr(model_gateway, "program_version", lambda: "another")
    models = read_models({"main": {"url": stage.model.url}})
    async with ModelGateway(stage.bench.folder, models) as newer:
        await newer.ready()
        (new,) = gateways(stage.bench.folder)
        assert new != old
        stage.gateway = newer
        async with stage.agent() as agent:
            assert "status 200" in await agent.ask()
        await newer.end()


async def test_two_agents_with_two_endpoints_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_ONE", "key-one")
    monkeypatch.setenv("KEY_TWO", "key-two")
    async with ModelServer.serving() as one, ModelServer.serving() as two:
        tables = {
            "one": {"url": one.url, "key_env": "KEY_ONE"},
            "two": {"url": two.url, "key_env": "KEY_TWO", "api": "anthropic"},
        }
        async with ModelGateway(tmp_path, read_models(tables)) as gateway:
            await gateway.ready()
            stage = Stage(await Workbench.make(tmp_path), one, gateway)
            async with stage.agent("one") as first, stage.agent("two") as second:
                told = await first.ask(), await second.ask("/v1/messages"), await second.ask("/v1/chat/completions")
            await gateway.end()
        await gone(tmp_path)

    assert [text[:10] for text in told] == ["status 200", "status 200", "status 403"]
    assert [asked.headers.get("authorization") for asked in one.asked] == ["Bearer key-one"]
    assert [asked.headers.get("x-api-key") for asked in two.asked] == ["key-two"]


@pytest.mark.parametrize(
    ("answer", "begins", "broken"),
    [
        (Answer(302, {"location": "http://evil.example/"}, ()), "status 502 upstream_redirected", 0),
        (Answer(200, {"content-encoding": "gzip"}, (b"x",)), "status 502 upstream_encoded", 0),
        (Answer(pieces=(b"{", BREAK_OFF)), "status 200", 1),
        (Answer(429, {"retry-after": "77"}, (b"{}",)), "status 429 None", 0),
        (Answer(401, {"content-type": "application/json"}, (b'{"error": {}}',)), "status 401 None", 0),
    ],
)
async def test_what_an_endpoint_does_wrong_is_seen(stage: Stage, answer: Answer, begins: str, broken: int) -> None:
    stage.model.answers.append(answer)
    async with stage.agent() as agent:
        said = await agent.ask()
    book = read_use(agent.folder)

    assert said.startswith(begins)
    assert said.endswith("failed IncompleteRead\n") is (answer.pieces[-1:] == (BREAK_OFF,))
    assert book is not None
    assert (book.broken, book.statuses) == (broken, {answer.status: 1})
    assert book.retry_after_seconds == (77 if answer.status == 429 else None)


RAW = """
import socket, sys
for text in sys.stdin:
    with socket.create_connection(("127.0.0.1", 8787)) as link:
        link.settimeout(20)
        link.sendall(eval(text))
        print(repr(link.recv(1000).decode()), flush=True)
"""


FRAMED_TWICE = (
    "POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("b'nonsense\\r\\n\\r\\n'", "400"),
        ("b'GET /v1/models HTTP/1.1\\r\\n\\r\\n'", "400"),
        ("b'POST /v1/messages HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\n'", "400"),
        ("b'GET /v1/models HTTP/1.1\\r\\nHost: x\\r\\nX: ' + b'x' * 100000", "431"),
        (f"b'{FRAMED_TWICE}0\\r\\n\\r\\n'", "400"),
        ("b'CONNECT evil.example:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'", "403"),
        ("b'GET http://evil.example/v1/models HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'", "403"),
        ("b'POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 99999999999\\r\\n\\r\\n'", "413"),
        ("b'GET /v1/models HTTP/1.1\\r\\nHost: x\\r\\nX: a\\r\\n b\\r\\n\\r\\n'", "200"),
    ],
)
async def test_what_is_no_decent_request_ends_here(stage: Stage, sent: str, status: str) -> None:
    launch: dict[str, Any] = {"model": "main", "keeps_stdin": True}
    async with await stage.bench.spawn(PYTHON, "-I", "-S", "-c", RAW, **launch) as attempt:
        stage.gateway.attend("raw", attempt._folder, "main")
        assert await attempt.give_input(1, f"{sent}\n")
        await output(attempt, "HTTP/1.1")
        said = Asker(attempt, attempt._folder).said()
        await attempt.cancel("enough")
        await finish(attempt)

    assert said.startswith(f"'HTTP/1.1 {status} ")
    assert len(stage.model.asked) == (status == "200")


async def test_no_more_requests_are_at_the_endpoint_at_once_than_it_has_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = asyncio.Event()
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch, max_concurrent=2) as stage:
        model.answers += [Answer(pieces=(b"{", hold, b"}")) for _ in range(4)]
        async with contextlib.AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(stage.agent()) for _ in range(4)]
            for agent in agents:
                await agent.begin()
            while len(model.asked) < 2:
                await asyncio.sleep(0.01)
            hold.set()
            for agent in agents:
                await output(agent.attempt, "end")

    assert model.most_at_once == 2
    assert len(model.asked) == 4


async def test_an_endpoint_whose_certificate_is_not_trusted_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trusted by its configuration, the same endpoint is served."""
    cert, key = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    async with ModelServer.serving(tls) as model:
        url = f"https://localhost:{model.port}"
        tables = {"stranger": {"url": url}, "friend": {"url": url, "ca_file": str(cert)}}
        async with ModelGateway(tmp_path, read_models(tables)) as gateway:
            await gateway.ready()
            stage = Stage(await Workbench.make(tmp_path), model, gateway)
            async with stage.agent("stranger") as first, stage.agent("friend") as second:
                told = await first.ask(), await second.ask()
            await gateway.end()
        await gone(tmp_path)

    assert told[0].startswith("status 502 upstream_unreachable")
    assert told[1].startswith("status 200")
    assert len(model.asked) == 1
