"""Agents and endpoints that break off in bad ways, at a real gateway: neither may be taken for the other, and no log may grow."""

import asyncio
import json
from pathlib import Path

import pytest

from agenthost.core.models.refusals import ModelTrouble
from agenthost.models.enquiry import facts_of
from agenthost.models.gateway import agent_side
from agenthost.models.gateway.account import Account, Attempt
from agenthost.models.gateway.connection import AgentConnection
from agenthost.models.gateway.upstream import Model
from agenthost.models.link import ModelGateway
from agenthost.models.settings import read_models
from agenthost.models.usage import read_use
from tests.agenthost.models.stage import KEY, PYTHON, Stage, gone, make_certificate, opened
from tests.fakes.model_server import Answer, ModelServer, Pause
from tests.kit.attempts import Workbench, finish

pytestmark = pytest.mark.processes

RESETS = 20
# Resets its connection while it is being answered.
RESETTING = f"""
import socket, struct
for _ in range({RESETS}):
    link = socket.create_connection(("127.0.0.1", 8787))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}")
    link.recv(10)
    link.close()
print("done", flush=True)
"""
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


async def test_an_agent_that_resets_its_connections_fills_no_log_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch) as stage:
        model.reply = lambda _: Answer(pieces=(b"{", Pause(5)))
        async with await stage.bench.spawn(PYTHON, "-I", "-S", "-c", RESETTING, model="main") as attempt:
            stage.gateway.attend("resetting", attempt._folder, "main")
            done = await finish(attempt)
            await stage.gateway.leave("resetting")
        book = read_use(attempt._folder)

    assert done.stdout == "done\n"
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()
    assert book is not None
    assert (book.requests, book.broken, book.thought.trouble) == (RESETS, RESETS, ModelTrouble.NONE)


async def test_an_agent_that_takes_no_answer_is_no_fault_of_its_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint's fault is tried again by itself: an agent could have itself run again and again."""
    monkeypatch.setattr(agent_side, "SEND_SECONDS", 0.3)
    async with ModelServer.serving() as model:
        model.reply = lambda _: Answer(pieces=[b" " * 65536] * 400)
        endpoint = read_models({"main": {"url": model.url}})["main"].endpoint
        account = Account(Attempt("stubborn", tmp_path, "main"), {"main": Model.of(endpoint, "")})
        served = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await AgentConnection(reader, writer, account).run()
            served.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1024)
            writer.write(REQUEST)
            await served.wait()
            writer.transport.abort()

    assert (account.use.broken, account.use.thought.trouble) == (1, ModelTrouble.NONE)


async def test_of_two_lengths_of_an_answer_the_chunks_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"5\r\nwhole\r\n0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        model = ModelServer()
        model.port = server.sockets[0].getsockname()[1]
        async with opened(tmp_path, model, monkeypatch) as stage, stage.agent() as agent:
            said = await agent.ask()
        book = read_use(agent.folder)

    assert said == "status 200 None\nwhole\nend\n"
    assert book is not None
    assert (book.broken, book.statuses) == (0, {200: 1})


async def test_certificates_that_go_away_close_their_own_model_alone(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path)
    async with ModelServer.serving() as model:
        models = read_models(
            {"main": {"url": model.url}, "bare": {"url": "https://x.example", "ca_file": str(certificate)}}
        )
        certificate.unlink()
        async with ModelGateway(tmp_path, models) as gateway:
            await gateway.ready()
            stage = Stage(await Workbench.make(tmp_path), model, gateway)
            async with stage.agent("main") as first, stage.agent("bare") as second:
                told = await first.ask(), await second.ask()
            await gateway.end()
        await gone(tmp_path)

    assert told[0].startswith("status 200")
    assert told[1].startswith("status 503 model_not_configured")


async def test_certificates_that_go_away_are_a_problem_of_their_endpoint_alone(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path)
    settings = read_models({"bare": {"url": "https://127.0.0.1:9", "ca_file": str(certificate)}})["bare"]
    certificate.unlink()

    assert "ca_file cannot be read (FileNotFoundError)" in (await facts_of(settings)).problem


async def test_no_name_that_an_endpoint_gives_takes_its_key_into_the_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book's name of the model goes to conductors, and into reports."""
    async with ModelServer.serving() as model, opened(tmp_path, model, monkeypatch) as stage:
        named = json.dumps({"model": f"small {KEY}", "choices": []}).encode()
        model.answers.append(Answer(pieces=(named[:20], named[20:])))
        async with stage.agent() as agent:
            said = await agent.ask()
        book = read_use(agent.folder)

    assert book is not None
    assert book.model == f"small {'*' * len(KEY)}"
    assert KEY not in said


async def test_headers_reach_the_agent_whole_and_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask that holds the beginning of a key back must let it go at a value's end: `6ms` is not `6m`."""
    async with ModelServer.serving() as model:
        headers = {"x-ratelimit-reset-requests": "6ms", "x-echo": f"Bearer {KEY}", "content-type": "application/json"}
        model.answers.append(Answer(headers=headers))
        endpoint = read_models({"main": {"url": model.url}})["main"].endpoint
        kept, served = Model.of(endpoint, KEY), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await AgentConnection(reader, writer, Account(Attempt("reader", tmp_path, "main"), {"main": kept})).run()
            served.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            await served.wait()
            kept.idle.close()

    assert b"x-ratelimit-reset-requests: 6ms\r\n" in head
    assert f"x-echo: Bearer {'*' * len(KEY)}\r\n".encode() in head
