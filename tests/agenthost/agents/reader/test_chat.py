"""One request over a real socket: streams, servers' differences, refusals, broken answers. Keeps B5."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from agenthost.agents.reader.chat import REPEATS, Chat, ModelError, Reply
from tests.fakes.chat import calls, cut_off, delta, event, models, refused, streamed, words
from tests.fakes.model_server import HANG_UP, Answer, ModelServer


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer.serving() as server:
        yield server


async def ask(server: ModelServer, *answers: Answer, **wanted: object) -> tuple[Reply, list[str]]:
    server.answers.extend(answers)
    said: list[str] = []
    chat = Chat(f"{server.url}/v1", "key", "m", said.append, said.append)
    return await asyncio.to_thread(chat.ask, [{"role": "user", "content": "?"}], **wanted), said


async def test_words_are_passed_on_as_they_come_and_usage_is_read(server: ModelServer) -> None:
    reply, said = await ask(server, words("Hel", "lo"))

    assert (reply.text, said, reply.input_tokens, reply.output_tokens) == ("Hello", ["Hel", "lo"], 1_000, 20)


async def test_calls_that_come_in_pieces_are_put_together(server: ModelServer) -> None:
    reply, _ = await ask(server, calls(("read_file", {"path": "a.py"}), ("search", {"pattern": "x"})))

    assert [(one["name"], json.loads(one["arguments"])) for one in reply.calls] == [
        ("read_file", {"path": "a.py"}),
        ("search", {"pattern": "x"}),
    ]


async def test_reasoning_is_kept_apart_under_both_of_its_names(server: ModelServer) -> None:
    reply, _ = await ask(server, streamed(delta(reasoning_content="hm "), delta(reasoning="so"), delta(content="yes")))

    assert (reply.reasoning, reply.text) == ("hm so", "yes")


LINE = "- You read a pinned snapshot, and nothing in it can be changed by anyone.\n- Nor need it be.\n"
FINDING = '{{"severity": "low", "title": "t{0}", "claim": "c", "evidence": [{{"path": "a.py", "start_line": {0}}}]}},\n'
TABLE = "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"


@pytest.mark.parametrize(
    ("pieces", "is_cut"),
    [
        (["So. ", *[LINE] * 200], True),
        (list("So. " + LINE * 12), True),
        ([FINDING.format(number) for number in range(200)], False),
        ([TABLE] * 100, False),
        ([LINE] * 4, False),
    ],
    ids=["lines", "letters", "findings", "table", "few"],
)
async def test_a_reply_that_repeats_itself_is_read_no_further(
    server: ModelServer, pieces: list[str], is_cut: object
) -> None:
    """Keeps B5: a small model says the same until its context is full, which takes minutes."""
    reply, said = await ask(server, words(*pieces))

    assert (reply.finish_reason == REPEATS) is is_cut
    assert (len("".join(said)) < len("".join(pieces))) is is_cut


async def test_a_server_that_does_not_stream_is_read_all_the_same(server: ModelServer) -> None:
    whole = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    reply, said = await ask(server, Answer(pieces=[json.dumps(whole).encode()]))

    assert (reply.text, said, reply.input_tokens) == ("yes", ["yes"], 3)


async def test_a_field_that_a_server_refuses_is_left_out_from_then_on(server: ModelServer) -> None:
    reply, _ = await ask(
        server,
        refused(400, "unknown field stream_options"),
        refused(400, "tools are not supported"),
        words("ok"),
        tools=[],
    )

    assert reply.text == "ok"
    assert [sorted(json.loads(one.body).keys() & {"tools", "stream_options"}) for one in server.asked] == [
        ["stream_options", "tools"],
        ["tools"],
        [],
    ]


@pytest.mark.parametrize(
    ("answer", "status", "is_overflow", "text"),
    [
        (refused(401, "no such key"), 401, False, "no such key"),
        (refused(429, "slow down"), 429, False, "slow down"),
        (refused(400, "the request exceeds the available context size"), 400, True, "context"),
        (Answer(500, {"content-type": "text/html"}, [b"<html>boom"]), 500, False, "boom"),
        (cut_off("half a wo"), 0, False, "broke off"),
        (HANG_UP, 0, False, "broke off"),
    ],
)
async def test_a_refusal_and_a_broken_answer_say_what_they_are(
    server: ModelServer, answer: Answer, status: int, *, is_overflow: bool, text: str
) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        await ask(server, answer)

    assert (caught.value.status, caught.value.is_overflow) == (status, is_overflow)


async def test_the_models_of_an_endpoint_are_listed(server: ModelServer) -> None:
    server.answers.append(models({"id": "qwen3", "max_model_len": 32_768}))
    chat = Chat(f"{server.url}/v1", "", "", print, print)

    assert await asyncio.to_thread(chat.models) == [{"id": "qwen3", "max_model_len": 32_768}]


@pytest.mark.parametrize("odd", [{"choices": 5}, {"choices": [{"delta": {"tool_calls": True}}]}, {"choices": {"a": 1}}])
async def test_fields_of_another_type_are_passed_over(server: ModelServer, odd: dict[str, object]) -> None:
    reply, _ = await ask(server, streamed(event(odd), delta(content="yes")))

    assert reply.text == "yes"
