"""The reader in the real sandbox, behind the real gateway, with a model on loopback. Keeps D1 and E8."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agenthost.models.settings import read_models
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import Client, open_host
from tests.fakes.chat import STREAM, asked, calls, cut_off, delta, models, refused, words
from tests.fakes.model_server import Answer, ModelServer

pytestmark = pytest.mark.processes

LISTED = models({"id": "small", "max_model_len": 16_384})


@asynccontextmanager
async def host_with(folder: Path, repository: Path, *answers: Answer) -> AsyncIterator[tuple[Client, ModelServer]]:
    async with ModelServer.serving() as model:
        model.answers.extend((LISTED, *answers))
        endpoints = read_models({"default": {"url": model.url}})
        async with open_host(folder, repository, models=endpoints) as client:
            yield client, model


async def test_a_question_is_answered_from_files_of_the_snapshot(short_path: Path, repository: Path) -> None:
    finding = {"findings": [{"severity": "info", "title": "t", "claim": "c", "category": "x", "evidence": []}]}
    answers = (
        calls(("list_files", {}), ("git_log", {"limit": 1})),
        words("It says hello. ", json.dumps(finding)),
    )
    async with host_with(short_path, repository, *answers) as (client, model):
        conversation, finished = await client.run("What is here?", agent="reader")

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert conversation.said("answer").startswith("It says hello.")
    assert json.loads(finished.result_json) == finding
    assert "asks small, with a context of 16384 tokens" in conversation.said("log")
    listed, logged = asked(model.asked[-1].body)[-2:]
    assert listed["content"] == "README.md"
    assert "error" not in logged["content"]
    assert finished.usage.input_tokens == 2_000


async def test_no_tool_reaches_beyond_the_snapshot(short_path: Path, repository: Path) -> None:
    reaching = calls(("read_file", {"path": "/etc/passwd"}), ("git_show", {"commit": "--output=/workspace/x"}))
    async with host_with(short_path, repository, reaching, words("no")) as (client, model):
        _, finished = await client.run("Read it.", agent="reader")

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert [message["content"][:6] for message in asked(model.asked[-1].body)[-2:]] == ["error:", "error:"]


async def test_a_model_that_refuses_or_breaks_off_ends_the_attempt_with_its_reason(
    short_path: Path, repository: Path
) -> None:
    async with host_with(short_path, repository, refused(401, "no key"), LISTED, cut_off("half")) as (client, _):
        said, refusal = await client.run("Why?", agent="reader")
        broken, cut = await client.run("Why?", agent="reader", step="again")

    assert (refusal.outcome, refusal.reason) == (pb.Finished.OUTCOME_FAILED, "AUTH_FAILED")
    assert "no key" in said.said("log")
    assert cut.outcome == pb.Finished.OUTCOME_FAILED
    assert "broke off" in broken.said("log")


async def test_a_second_question_sees_the_first(short_path: Path, repository: Path) -> None:
    """Keeps D13."""
    finding = {"findings": [{"severity": "info", "title": "t", "claim": "c", "category": "x", "evidence": []}]}
    answers = (words("Broken {"), words(json.dumps(finding)))
    async with (
        host_with(short_path, repository, *answers) as (client, model),
        client.open(start=client.start_of(agent="reader", prompt="What is here?", turns=2)) as conversation,
    ):
        first = (await conversation.until(lambda frame: frame.HasField("turn"))).turn
        mend = pb.Input(input_sequence=1, text="Mend it:\nno JSON.", kind=pb.Input.KIND_PROMPT)
        await conversation.send(input=mend)
        second = (await conversation.until(lambda frame: frame.turn.number == 2)).turn
        await conversation.send(close=pb.Close())
        finished = await conversation.finish()

    assert [message["content"] for message in asked(model.asked[-1].body)[1:]] == [
        "What is here?",
        "Broken {",
        "Mend it:\nno JSON.",
    ]
    assert first.result_json == ""
    assert json.loads(second.result_json) == json.loads(finished.result_json) == finding
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert finished.usage.input_tokens == 2 * first.usage.input_tokens


async def test_a_reply_that_goes_on_for_ever_costs_no_more_than_what_was_read(
    short_path: Path, repository: Path
) -> None:
    """Keeps B5: the reader hangs up, the gateway with it, and the book has the model's name all the same."""
    never = asyncio.Event()
    line = delta(content="It greets everybody who comes by, and then it greets them again.\n")
    for_ever = Answer(headers=STREAM, pieces=[*[line] * 50, never])
    async with host_with(short_path, repository, for_ever) as (client, model):
        conversation, finished = await client.run("What is it?", agent="reader")

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert finished.answer_note == "the model repeated itself, and was read no further"
    assert conversation.said("answer").startswith("It greets everybody")
    assert (finished.model_use.model, finished.model_use.broken, len(model.asked)) == ("small", 1, 2)
