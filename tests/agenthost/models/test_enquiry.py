"""Asks endpoints on loopback for their facts, alone and through a real host. Keeps D1."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.models.facts import LLAMA_CPP, ModelFacts
from agenthost.models import enquiry
from agenthost.models.enquiry import Enquiry, facts_of
from agenthost.models.settings import ModelSettings, read_models
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.running_host import Client, open_host
from tests.fakes.chat import asked, models, words
from tests.fakes.model_server import Answer, ModelServer

KEY = "sk-the-key-of-this-test"


def told(value: Any) -> Answer:
    return Answer(pieces=[json.dumps(value).encode()])


PROPS = told({"default_generation_settings": {"n_ctx": 3072}, "total_slots": 2})
LLAMA = {"/v1/models": models({"id": "small"}), "/props": PROPS}


def settings_of(url: str, **table: Any) -> ModelSettings:
    return read_models({"default": {"url": url, **table}})["default"]


async def test_an_endpoint_is_asked_with_its_key_and_tells_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    async with ModelServer.serving() as model:
        model.facts.update(LLAMA)
        facts = await facts_of(settings_of(f"{model.url}/v1", key_env="KEY_OF_THE_TEST"))

    assert (facts.server, facts.slots, facts.window_of("small"), facts.problem) == (LLAMA_CPP, 2, 3072, "")
    assert {one.headers["authorization"] for one in model.enquiries} == {f"Bearer {KEY}"}
    assert model.asked == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(401, pieces=(b"{}",)), "HTTP 401: check its key"),
        (Answer(503, pieces=(b"loading",)), "HTTP 503: it may be loading"),
    ],
)
async def test_an_endpoint_that_refuses_says_why_it_tells_nothing(answer: Answer, problem: str) -> None:
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = answer
        facts = await facts_of(settings_of(model.url))

    assert problem in facts.problem


@pytest.mark.parametrize("url", ["http://a..b:80", f"http://{'a' * 70}.example:80"])
async def test_an_address_that_no_network_can_have_is_a_problem_of_its_endpoint_alone(url: str) -> None:
    assert "cannot be reached (its name is not known)" in (await facts_of(settings_of(url))).problem


async def test_no_name_that_an_endpoint_lists_repeats_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models({"id": f"for {KEY}"})
        facts = await facts_of(settings_of(model.url, key_env="KEY_OF_THE_TEST"))

    assert [one.name for one in facts.models] == [f"for {'*' * len(KEY)}"]


HOSTILE_LISTINGS = {
    "other protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "deep": b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000,
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "endless": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 5_000_000,
    "crumbs": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 700_000,
    "nothing": b"",
}


@pytest.mark.parametrize("listing", HOSTILE_LISTINGS.values(), ids=HOSTILE_LISTINGS)
async def test_no_answer_of_an_endpoint_breaks_the_enquiry(listing: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(listing)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        begun = time.process_time()
        facts = await facts_of(settings_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))

    assert time.process_time() - begun < 2
    assert facts.models == ()
    assert facts.is_asked


async def test_an_endpoint_that_drips_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()
    monkeypatch.setattr(enquiry, "ENQUIRY_SECONDS", 0.2)
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = Answer(pieces=(b"{", never))
        facts = await facts_of(settings_of(model.url))

    assert "did not answer within" in facts.problem


async def test_an_endpoint_is_asked_again_until_it_comes_back_and_again_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enquiry, "UNANSWERED_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(enquiry, "PRIVATE_PAUSE_SECONDS", 0.01)
    heard: asyncio.Queue[ModelFacts] = asyncio.Queue()
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = Answer(503, pieces=(b"loading",))
        async with (
            Enquiry({"default": settings_of(model.url)}, lambda _, facts: heard.put_nowait(facts)),
            asyncio.timeout(10),
        ):
            assert (await heard.get()).problem
            model.facts.update(LLAMA)
            while (facts := await heard.get()).problem:
                pass
            model.facts["/props"] = told({"default_generation_settings": {"n_ctx": 1024}, "total_slots": 1})
            while (await heard.get()).window != 1024:
                pass

    assert (facts.window, facts.slots) == (3072, 2)


@pytest.mark.processes
async def test_a_host_tells_what_its_model_tells_and_gives_the_reader_its_window(
    short_path: Path, repository: Path
) -> None:
    async with ModelServer.serving() as model:
        model.facts.update(LLAMA)
        model.reply = lambda _: words("It says hello.")
        settings = read_models({"default": {"url": model.url, "model": "small"}})
        async with open_host(short_path, repository, models=settings) as client:
            conversation, _ = await client.run(agent="reader", prompt="What does it say?")
            (shown,) = (await client.hosts.GetHost(host_pb.GetHostRequest())).models

    assert "asks small, with a context of 3072 tokens" in conversation.said("log")
    assert len(asked(model.asked[0].body)) == 2
    assert (shown.name, shown.server, shown.window, shown.slots, shown.answers) == ("default", LLAMA_CPP, 3072, 2, True)
    assert [(one.name, one.window) for one in shown.listed] == [("small", 3072)]
    # C12: the slots of its pool are those that the server tells.
    assert (shown.pool, shown.pool_slots, shown.pool_is_local) == (f"{model.url} on test", 2, True)


@pytest.mark.processes
async def test_a_dead_endpoint_delays_neither_the_host_nor_its_answer(short_path: Path, repository: Path) -> None:
    settings = read_models({"default": {"url": "http://127.0.0.1:1"}, "slow": {"url": "http://192.0.2.1"}})
    async with asyncio.timeout(20), open_host(short_path, repository, models=settings) as client:
        while not (shown := (await client.hosts.GetHost(host_pb.GetHostRequest())).models)[0].problem:
            await client.host.change.subscribe().wait()

    assert "cannot be reached" in shown[0].problem
    assert not shown[0].answers


NEEDY = """\
name = "needy"
description = "Tells the name of its model."
argv = ["/bin/echo", "{model}", "{window}"]
network = "model"
model = "default"

[parameters.model]
pattern = "[a-z0-9-]{1,40}"

[parameters.window]
pattern = "[0-9]{1,8}"
default = "1"
"""


async def needy(client: Client) -> host_pb.Agent:
    return next(one for one in (await client.hosts.GetHost(host_pb.GetHostRequest())).agents if one.name == "needy")


@pytest.mark.processes
async def test_an_agent_that_needs_the_name_of_a_model_gets_the_first_that_the_endpoint_lists(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps K9: one line is enough for every agent, not for the reader alone."""
    monkeypatch.setattr(enquiry, "UNANSWERED_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(enquiry, "PRIVATE_PAUSE_SECONDS", 0.05)
    (short_path / "agents").mkdir()
    (short_path / "agents" / "needy.toml").write_text(NEEDY)
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models()
        settings = read_models({"default": {"url": model.url}})
        where = {"models": settings, "agents_dirs": (short_path / "agents",)}
        async with asyncio.timeout(40), open_host(short_path, repository, **where) as client:
            refusal = await client.refused(client.start_of(agent="needy"))
            named, _ = await client.run(agent="needy", step="named", parameters={"model": "other"})
            before = await needy(client)
            model.facts.update({"/v1/models": models({"id": "embed-it"}, {"id": "small"}), "/props": PROPS})
            while not (after := await needy(client)).available:
                await client.host.change.subscribe().wait()
            told, _ = await client.run(agent="needy", step="told")

    assert refusal.reason == "AGENT_UNAVAILABLE"
    assert not before.available
    assert "--model-name NAME" in before.unavailable_reason
    assert after.unavailable_reason == ""
    assert (named.said("answer"), told.said("answer")) == ("other 1\n", "small 3072\n")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1", "it cannot be reached (nothing listens there)"),
        ("http://localhost:1", "it cannot be reached (nothing listens there)"),
        ("http://no-such-host.invalid", "it cannot be reached (its name is not known)"),
    ],
)
async def test_why_an_endpoint_is_not_reached_is_told_in_words(url: str, why: str) -> None:
    [settings] = read_models({"default": {"url": url}}).values()

    assert (await facts_of(settings)).problem == why


async def test_https_of_a_server_that_speaks_plain_http_is_told_in_words() -> None:
    async with ModelServer.serving() as model:
        [settings] = read_models({"default": {"url": model.url.replace("http:", "https:")}}).values()
        problem = (await facts_of(settings)).problem

    assert problem == "it cannot be reached (it does not speak TLS, as https needs)"
